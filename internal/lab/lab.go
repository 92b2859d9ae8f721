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
	if fn, ok := children[os.Getenv(envChild)]; ok {
		os.Unsetenv(envChild)
		return fn(os.Args[1:])
	}
	return run(m)
}

// Child registers a function that Host.RunChild runs, in a process of its own
// inside a host. It is called from TestMain before Main. The function gets the
// arguments and returns the exit code.
func Child(name string, fn func(args []string) int) { children[name] = fn }

// children are the functions that this test binary can run instead of tests.
var children = map[string]func(args []string) int{}

// envChild names the registered function that a child process is to run.
const envChild = "NETSONDE_LAB_CHILD"
