//go:build !unix

package main

// onQuit does nothing where there is no SIGQUIT.
func onQuit(func()) (stop func()) { return func() {} }
