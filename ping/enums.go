package ping

import "github.com/netsonde/netsonde/internal/enum"

// Outcome is what came of a probe. Every probe has exactly one of reply,
// ICMP error, timeout, corrupted and local error; late and duplicate tell of
// further answers to a probe that has its outcome already.
type Outcome uint8

// The outcomes.
const (
	OutcomeNone       Outcome = iota // nothing is known, such as after a cancelled call
	OutcomeReply                     // the reply came in time
	OutcomeTimeout                   // nothing came in time
	OutcomeICMPError                 // a router or the host said why not
	OutcomeLocalError                // this host could not send it, or lost what came: no answer of the network
	OutcomeCorrupted                 // what came in time was damaged: wrong checksum, wrong or missing bytes
	OutcomeLate                      // an answer after the deadline; the timeout was told before
	OutcomeDuplicate                 // one more answer to an answered probe
	OutcomeSent                      // no outcome yet: the probe has gone out (StreamOptions.Sent)
	OutcomeNotice                    // no outcome: a redirect, or a damaged reply (StreamOptions.Notices)
)

var outcomeNames = []string{
	"none", "reply", "timeout", "icmp_error", "local_error", "corrupted", "late", "duplicate", "sent", "notice",
}

// String returns the word, such as "icmp_error".
func (o Outcome) String() string { return enum.String(outcomeNames, "outcome", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[Outcome](outcomeNames, "outcome", b)
	return err
}

// Method is how probes are sent.
type Method uint8

// The methods.
const (
	MethodAuto         Method = iota // the first that works of the unprivileged and the raw ICMP socket
	MethodICMPDatagram               // ICMP echo through the unprivileged socket
	MethodICMPRaw                    // ICMP echo through a raw socket
	MethodTCP                        // TCP connect; only [TCP] does this
)

var methodNames = []string{"auto", "icmp_dgram", "icmp_raw", "tcp"}

// String returns the word, such as "icmp_dgram".
func (m Method) String() string { return enum.String(methodNames, "method", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Method) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[Method](methodNames, "method", b)
	return err
}

// StampSource tells which clocks a round-trip time was made of.
type StampSource uint8

// The sources, best first.
const (
	StampNone     StampSource = iota // there is no time
	StampKernel                      // the kernel's times of sending and receiving
	StampKernelRX                    // the kernel's time of receiving, the program's of sending
	StampKernelTX                    // the kernel's time of sending, the program's of receiving: the first ones, for the kernel begins to stamp arrivals a moment after it is asked
	StampTCPInfo                     // the kernel's own measurement of the TCP handshake (tcpi_rtt), in microseconds
	StampUser                        // the program's monotonic clock: scheduling is in it
)

var stampNames = []string{"none", "kernel", "kernel_rx", "kernel_tx", "tcp_info", "user"}

// String returns the word, such as "kernel".
func (s StampSource) String() string { return enum.String(stampNames, "stamp", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s StampSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *StampSource) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[StampSource](stampNames, "stamp", b)
	return err
}

// Fragment is what may be done to a packet that is too big for a link
// (IP_MTU_DISCOVER of ip(7), IPV6_MTU_DISCOVER of ipv6(7)); ping -M.
type Fragment uint8

// The modes.
const (
	FragmentDefault Fragment = iota // the system's
	FragmentDont                    // "dont": never set the don't-fragment bit
	FragmentWant                    // "want": find the path MTU, fragment here where the packet is bigger
	FragmentDo                      // "do": set the don't-fragment bit, refuse what is bigger than the known path MTU
	FragmentProbe                   // "probe": set the don't-fragment bit, ignore the known path MTU
)

var fragmentNames = []string{"default", "dont", "want", "do", "probe"}

// String returns the word, such as "want".
func (f Fragment) String() string { return enum.String(fragmentNames, "fragment", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f Fragment) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Fragment) UnmarshalText(b []byte) (err error) {
	*f, err = enum.Parse[Fragment](fragmentNames, "fragment", b)
	return err
}
