package nl_test

// What needs the lab stands outside of the package, which the lab uses.

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

func TestMain(m *testing.M) {
	lab.Child("enter", enter)
	os.Exit(lab.Main(m))
}

// enter dials in the namespace of descriptor 3.
func enter([]string) int {
	_, err := nl.Dial(nl.Config{NetNS: 3})
	fmt.Printf("permission=%v need=%s", errors.Is(err, os.ErrPermission), operr.NeedOf(err))
	return 0
}

func TestNetNS(t *testing.T) {
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	port := a.Port("eth0")
	l.Connect(port, b.Port("eth1"))
	names := nl.Names{NetNS: a.NetNSFD()}
	defer names.Close()
	if name, err := names.Name(t.Context(), port.Index()); err != nil || name != "eth0" {
		t.Errorf("Name: got %q, %v", name, err)
	}
	if index, err := names.Index(t.Context(), "eth0"); err != nil || index != port.Index() {
		t.Errorf("Index: got %d, %v; want %d", index, err, port.Index())
	}
	if name, err := names.Name(t.Context(), 4711); err != nil || name != "" {
		t.Errorf("Name of nothing: got %q, %v", name, err)
	}
	if _, err := names.Index(t.Context(), "eth1"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("Index of b's interface: got %v, want ENODEV", err)
	}
	// An ordinary user who was handed the namespace may not enter it.
	ns, err := os.Open(a.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	child := b.ChildCommand("enter", false)
	child.ExtraFiles = []*os.File{ns}
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	const want = "permission=true need=CAP_SYS_ADMIN to enter a network namespace"
	if string(out) != want {
		t.Errorf("unprivileged: got %q, want %q", out, want)
	}
	if _, err := nl.Dial(nl.Config{NetNS: 1 << 20}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("bad descriptor: got %v", err)
	}
}
