//go:build !linux

package main

import "syscall"

// prepare has nothing to set here: opening the engine refuses what the system
// cannot do.
func prepare(syscall.RawConn, string, bool) error { return nil }
