// Package operr is the one error type of the house. Each room re-exports it as
// its OpError, so that a caller tests for one shape everywhere.
package operr

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Error tells which operation failed on what, and why. Op starts with the
// name of the package ("ping: open socket"), Target is an address, an
// interface or a file, and may be empty.
type Error struct {
	Op     string
	Target string
	Err    error
}

// Error returns "op target: cause".
func (e *Error) Error() string {
	if e.Target == "" {
		return e.Op + ": " + e.Err.Error()
	}
	return e.Op + " " + e.Target + ": " + e.Err.Error()
}

// Unwrap returns the cause, so that errors.Is finds errnos, os.ErrPermission,
// os.ErrNotExist and errors.ErrUnsupported.
func (e *Error) Unwrap() error { return e.Err }

// New returns an *Error around err, and nil for a nil err. The target may be
// anything that prints well: a string, a netip.Addr, nil for none.
func New(op string, target any, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Err: err}
	if target != nil {
		e.Target = fmt.Sprint(target)
	}
	return e
}

// Unsupported returns the error of a Linux-only operation on another system.
func Unsupported(op string) error {
	return &Error{Op: op, Err: fmt.Errorf("needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)}
}

// PermissionError is a refused operation together with what would allow it.
type PermissionError struct {
	Need string // a capability or a sysctl with its value: "CAP_NET_RAW"
	Err  error
}

// Error returns "cause (needs …)".
func (e *PermissionError) Error() string { return e.Err.Error() + " (needs " + e.Need + ")" }

// Unwrap returns the refusal, normally EPERM or EACCES.
func (e *PermissionError) Unwrap() error { return e.Err }

// Need adds to a refusal what would allow the operation; every other error,
// and nil, is returned as it is.
func Need(err error, need string) error {
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	return &PermissionError{Need: need, Err: err}
}

// NeedOf returns what would allow the operation that err refused, or "".
func NeedOf(err error) string {
	if p, ok := errors.AsType[*PermissionError](err); ok {
		return p.Need
	}
	return ""
}
