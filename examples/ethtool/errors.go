package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// exitNoData is what ethtool ends with when no question was answered.
const exitNoData = 75

// absent says that there is no such interface, in the words that the question
// has for it.
func (o *options) absent(err error) int {
	if !errors.Is(err, os.ErrNotExist) {
		return o.Fail(err)
	}
	switch o.mode.section {
	case link.SectionDriver:
		return o.plain(71, "Cannot get driver information: No such device")
	case link.SectionStats:
		if !o.groups && !o.allGroups {
			return o.plain(96, "Cannot get stats strings information: No such device")
		}
	case link.SectionRSS:
		return o.plain(1, "Cannot get RX ring count: No such device")
	case link.SectionNone:
		return o.plain(1, "netlink error: No such device")
	}
	code := 1
	if o.mode == &settings {
		code = exitNoData
		fmt.Fprintln(o.Stdout, "No data available")
	}
	return o.plain(code, "netlink error: no device matches name (offset 24)", "netlink error: No such device")
}

func (o *options) plain(code int, lines ...string) int {
	for _, line := range lines {
		fmt.Fprintln(o.Stderr, line)
	}
	return code
}

// errors says what could not be had and returns the exit code.
func (o *options) errors(r *link.EthtoolReport) int {
	code := 0
	need := false
	for _, e := range r.Errors {
		if c := o.error(r, e); c != 0 {
			code = c
		}
		need = need || errors.Is(e, os.ErrPermission)
	}
	if need {
		o.Hint("%s", hint)
	}
	return code
}

const hint = "the kernel tells that only to CAP_NET_ADMIN: run it as root"

func (o *options) error(r *link.EthtoolReport, e link.SectionError) int {
	words := reason(e.Err)
	if o.mode == &settings {
		// That a driver does not know is normal; a refusal is told, and is no failure.
		if o.verbose || !errors.Is(e, errors.ErrUnsupported) {
			o.kernel(e.Err, o.verbose, e.Section)
		}
		return 0
	}
	switch e.Section {
	case link.SectionDriver:
		return o.plain(71, "Cannot get driver information: "+words)
	case link.SectionRSS:
		return o.plain(1, "Cannot get RX ring count: "+words)
	case link.SectionStats:
		if errors.Is(e, errors.ErrUnsupported) {
			return o.plain(94, "no stats available")
		}
		return o.plain(96, "Cannot get stats information: "+words)
	}
	o.kernel(e.Err, o.verbose, e.Section)
	return 1
}

// kernel prints an answer of the kernel's as ethtool does.
func (o *options) kernel(err error, verbose bool, s link.Section) {
	where := ""
	if verbose {
		where = fmt.Sprintf(" (%s)", s)
	}
	if message, offset := link.KernelMessage(err); message != "" {
		at := ""
		if offset != 0 {
			at = fmt.Sprintf(" (offset %d)", offset)
		}
		fmt.Fprintf(o.Stderr, "netlink error: %s%s%s\n", cli.Escape(message), at, where)
	}
	fmt.Fprintf(o.Stderr, "netlink error: %s%s\n", cli.Escape(reason(err)), where)
}

// reason is the errno in the words of strerror(3), which begin with a capital.
func reason(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := []byte(errno.Error())
	if len(text) > 0 && 'a' <= text[0] && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
	}
	return string(text)
}
