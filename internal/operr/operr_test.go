package operr

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
)

func TestNew(t *testing.T) {
	tests := []struct {
		target any
		want   string
	}{
		{nil, "ping: open socket: operation not permitted"},
		{"eth0", "ping: open socket eth0: operation not permitted"},
		{netip.MustParseAddr("192.0.2.1"), "ping: open socket 192.0.2.1: operation not permitted"},
	}
	for _, tt := range tests {
		err := New("ping: open socket", tt.target, syscall.EPERM)
		if err.Error() != tt.want || !errors.Is(err, syscall.EPERM) || !errors.Is(err, os.ErrPermission) {
			t.Errorf("New gave %q, want %q", err, tt.want)
		}
		if e, ok := errors.AsType[*Error](fmt.Errorf("outer: %w", err)); !ok || e.Op != "ping: open socket" {
			t.Errorf("%v is not found as an *Error", err)
		}
	}
	if err := New("op", nil, nil); err != nil {
		t.Errorf("New of no error gave %v", err)
	}
}

func TestUnsupported(t *testing.T) {
	err := Unsupported("link: list")
	want := "link: list: needs Linux, this is " + runtime.GOOS + ": unsupported operation"
	if !errors.Is(err, errors.ErrUnsupported) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestNeed(t *testing.T) {
	for _, refusal := range []error{syscall.EPERM, syscall.EACCES, fmt.Errorf("wrapped: %w", os.ErrPermission)} {
		err := New("op", nil, Need(refusal, "CAP_NET_RAW"))
		if !errors.Is(err, refusal) || NeedOf(err) != "CAP_NET_RAW" {
			t.Errorf("%v: need %q", err, NeedOf(err))
		}
		if want := "op: " + refusal.Error() + " (needs CAP_NET_RAW)"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
	for _, other := range []error{nil, syscall.ENOENT, errors.New("x")} {
		if err := Need(other, "CAP_NET_RAW"); err != other || NeedOf(err) != "" {
			t.Errorf("Need changed %v to %v", other, err)
		}
	}
}
