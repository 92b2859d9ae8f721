// Package nl is the one netlink loop of the house (netlink(7), rtnetlink(7),
// sock_diag(7)). It dials through mdlayher/netlink and receives on its own, into
// one buffer that is used again, because a caller must be able to trust what it
// gets: a dump that the kernel marks as interrupted is never passed off as
// consistent, not even when only its last message says so; a datagram is never
// cut; who sent it is checked; and what the kernel has to say about an error
// is kept.
//
// A [Conn] belongs to one goroutine. Bodies given to callbacks are valid only
// during the call. What parses is pure and compiles everywhere; [Dial] needs Linux.
package nl

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrInterrupted says that the kernel's table changed while it was being read,
// at every attempt: what was delivered by the last one may miss entries, hold
// some twice, or mix old and new (NLM_F_DUMP_INTR).
var ErrInterrupted = errors.New("table changed while it was read")

// ErrMalformed says that bytes are not netlink messages or attributes.
var ErrMalformed = errors.New("malformed netlink message")

// Config says where and how to ask.
type Config struct {
	Family int // NETLINK_ROUTE (0), NETLINK_SOCK_DIAG (4), …
	NetNS  int // descriptor of a network namespace; 0: that of the calling thread

	// Tries is how often an interrupted dump is read before ErrInterrupted is
	// returned. 0: 4. One that streams what it gets should say 1.
	Tries int
	// Restart is called before a dump is read again: throw away what has been
	// collected. Nil where nothing is.
	Restart func()

	// Guard are the groups (RTNLGRP_*) that tell of changes to what is dumped. One
	// that is heard of during a dump interrupts it: the kernel does not mark what
	// changes while it fills the last datagram, and of some tables nothing.
	Guard []uint32
	// Heeds reports whether such a notification, of which up to 16 bytes of the
	// body are given, is about what is dumped. Nil: each one is.
	Heeds func(typ uint16, start []byte) bool

	// Ahead has a goroutine make the calls that receive a long dump, so that the
	// kernel fills datagrams while the caller takes in those before. It pays where
	// the entries are many and what is done with each takes about as long as the
	// kernel's part. The calls are made with the credentials of another thread.
	Ahead bool

	// Groups are the multicast groups to hear (RTNLGRP_*). A connection that
	// hears some is for [Watch] alone.
	Groups []uint32
	// Buffer is how many bytes of messages the kernel keeps for a reader that is
	// late. 0: the system's default (net.core.rmem_default).
	Buffer int
}

const defaultTries = 4

func (c *Config) tries() int {
	if c.Tries <= 0 {
		return defaultTries
	}
	return c.Tries
}

// Message is a request: the type, flags beyond NLM_F_REQUEST (and NLM_F_DUMP,
// which Dump adds), and what follows the netlink header.
type Message struct {
	Type  uint16
	Flags uint16
	Body  []byte
}

// KernelError is an error that the kernel answered, with its extended
// acknowledgement where it gave one (linux/netlink.h, enum nlmsgerr_attrs).
type KernelError struct {
	Errno   syscall.Errno
	Message string // the kernel's words, often empty
	// Offset is where in the request, its header included, the offending
	// attribute begins; 0 is not told.
	Offset uint32
	// Attribute is the type of the one at Offset; 0 where it is no attribute.
	Attribute uint16
	// Policy is what Attribute may be; nil is not told.
	Policy *Policy
	// MissingType is the attribute that the request lacks, inside the one that
	// begins at MissingNest (0: at top level); only where HasMissing.
	MissingType, MissingNest uint32
	HasMissing               bool
}

// Error returns the errno's text and the kernel's words.
func (e *KernelError) Error() string {
	s := e.Errno.Error()
	if e.Message != "" {
		s += ": " + e.Message
	}
	switch {
	case e.Attribute != 0:
		s += fmt.Sprintf(" (attribute %d%s)", e.Attribute, e.Policy)
	case e.Offset != 0:
		s += fmt.Sprintf(" (request offset %d)", e.Offset)
	}
	if e.HasMissing {
		s += fmt.Sprintf(" (missing attribute %d)", e.MissingType)
	}
	return s
}

// Unwrap returns the errno.
func (e *KernelError) Unwrap() error { return e.Errno }

// Policy is what the kernel accepts of an attribute, as far as it says
// (linux/netlink.h, enum netlink_policy_type_attr). Zero is not told.
type Policy struct {
	Type                 uint32 // NL_ATTR_TYPE_*
	Min, Max             uint64 // of an unsigned number
	SignedMin, SignedMax int64  // of a signed one
	MinLength, MaxLength uint32 // bytes of payload
	Mask                 uint64 // the bits that may be set
}

// String returns ", from 68 to 65535" and the like, "" where nothing is told.
func (p *Policy) String() string {
	switch {
	case p == nil:
	case p.Max != 0:
		return fmt.Sprintf(", from %d to %d", p.Min, p.Max)
	case p.SignedMin != 0 || p.SignedMax != 0:
		return fmt.Sprintf(", from %d to %d", p.SignedMin, p.SignedMax)
	case p.Mask != 0:
		return fmt.Sprintf(", bits of %#x", p.Mask)
	case p.MaxLength != 0:
		return fmt.Sprintf(", %d to %d bytes", p.MinLength, p.MaxLength)
	case p.MinLength != 0:
		return fmt.Sprintf(", at least %d bytes", p.MinLength)
	}
	return ""
}
