package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// prepare sets what decides on the way of a packet. Go's own sockets may be
// sent to broadcast addresses; this one shall say what the system thinks.
func prepare(c syscall.RawConn, device string, broadcast bool) (err error) {
	allow := 0
	if broadcast {
		allow = 1
	}
	if e := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, allow); err != nil || device == "" {
			return
		}
		if e := unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, device); e != nil {
			err = &deviceError{device, e}
		}
	}); e != nil {
		return e
	}
	return err
}
