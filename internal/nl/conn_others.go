//go:build !linux

package nl

import (
	"context"

	"github.com/netsonde/netsonde/internal/operr"
)

// Conn is a netlink socket.
type Conn struct{}

// Dial needs Linux.
func Dial(Config) (*Conn, error) { return nil, operr.Unsupported("nl: dial") }

// Close needs Linux.
func (*Conn) Close() error { return nil }

// Warnings needs Linux.
func (*Conn) Warnings() []string { return nil }

// Dump needs Linux.
func (*Conn) Dump(context.Context, Message, func(uint16, []byte) error) error {
	return operr.Unsupported("nl: dump")
}

// Request needs Linux.
func (*Conn) Request(context.Context, Message, func(uint16, []byte) error) error {
	return operr.Unsupported("nl: request")
}

// Dump needs Linux.
func Dump(context.Context, Config, Message, func(uint16, []byte) error) error {
	return operr.Unsupported("nl: dump")
}

// Request needs Linux.
func Request(context.Context, Config, Message, func(uint16, []byte) error) error {
	return operr.Unsupported("nl: request")
}

// Change needs Linux.
func (*Conn) Change(context.Context, Message) error { return operr.Unsupported("nl: change") }

// Change needs Linux.
func Change(context.Context, Config, Message) error { return operr.Unsupported("nl: change") }
