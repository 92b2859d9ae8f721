//go:build !linux

package sockets

func registerChildren() {}
