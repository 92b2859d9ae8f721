package lab

import (
	"os"
	"testing"
)

// Main runs a package's tests where the lab can be built and returns the exit
// code for os.Exit; it is all that TestMain contains:
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
//
// On Linux it starts the test binary again, with the same arguments, in a
// network and a mount namespace of its own, and, when the user is not root, in
// a user namespace where that user is root. Nothing a test does there is seen
// by the machine. Where the kernel forbids that, the tests run where they are
// and New skips, saying what is missing. On other systems the tests just run.
// In every case the tests fail if they leave goroutines or descriptors behind.
func Main(m *testing.M) int {
	if code, ok := runAsChild(); ok {
		return code
	}
	return run(m)
}

// Isolated runs fn where New works, for a program that is no test: it starts
// the program again, with the same arguments, in namespaces of its own, and
// returns the exit code from there. The error says why no lab can be built
// here. What Child has registered is run by processes that RunChild starts.
func Isolated(fn func() int) (code int, err error) {
	if code, ok := runAsChild(); ok {
		return code, nil
	}
	return isolate(fn)
}

// TB is what the lab needs of a test; testing.TB has it.
type TB interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Skip(args ...any)
	Skipf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func runAsChild() (code int, ok bool) {
	fn, ok := children[os.Getenv(envChild)]
	if !ok {
		return 0, false
	}
	os.Unsetenv(envChild)
	return fn(os.Args[1:]), true
}

// Child registers a function that Host.RunChild runs, in a process of its own
// inside a host. It is called from TestMain before Main. The function gets the
// arguments and returns the exit code.
func Child(name string, fn func(args []string) int) { children[name] = fn }

// children are the functions that this test binary can run instead of tests.
var children = map[string]func(args []string) int{}

// envChild names the registered function that a child process is to run.
const envChild = "NETSONDE_LAB_CHILD"
