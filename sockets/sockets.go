// Package sockets lists the sockets of a machine: who listens, who talks to
// whom, and which process that is. It is what netstat(8) and ss(8) show.
//
// [List] asks the kernel over sock_diag(7), where states and addresses
// ([Filter]) are filtered before anything is copied. What the kernel knows about
// each connection, such as round-trip time, window and losses, is told with
// Options.Info, as ss -i does. [Listeners] is the question that is asked most often:
// what listens here, and which program is it? Which processes hold a socket is
// looked up only on request, because that means a look at every descriptor of
// every process.
//
// A list is not a picture of one moment: sockets that open and close while it
// is made may be in it or not. Nothing here needs a privilege except to see the
// processes of other users, which are counted in a [Table] and are no error, to
// enter another network namespace, and for the fields that say so, such as the
// Mark of a [Socket]; they are zero without it.
//
// Listing needs Linux; the types and their text forms work everywhere.
package sockets

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// OpError is the error type of this package: the operation, the protocol or
// file it was about, and the cause. It unwraps to an errno of the kernel,
// [os.ErrPermission] or [errors.ErrUnsupported].
type OpError = operr.Error

// Attribute is an attribute of a socket that the library has no field for.
type Attribute = nl.Attribute

// Options say which sockets, and what about them. Nil is the defaults.
type Options struct {
	// Protocols to list. Empty: TCP and UDP.
	Protocols []Protocol
	// Family restricts the list to sockets of FamilyIPv4 or of FamilyIPv6; zero
	// is no restriction. Unix and packet sockets, which it does not restrict,
	// are listed when Protocols has them.
	Family Family
	// States to list; the kernel leaves the others out. Empty: every state,
	// including those that ss leaves out unless it is asked: StateTimeWait, and
	// StateBoundInactive, which kernels tell since Linux 6.8.
	States []State
	// Filter restricts the list to sockets with certain ends.
	Filter Filter
	// Processes also looks up which processes hold each socket.
	Processes bool
	// Info also asks for what the kernel knows about each connection: TCP,
	// MPTCP, TOS, TrafficClass and ClassID of [Socket].
	Info bool
	// Memory also asks for what each socket takes of the kernel's memory.
	Memory bool
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN. Processes are looked up
	// in the caller's PID namespace, whatever their network namespace is.
	NetNS int
}

// Table is a list of sockets and how complete it is.
type Table struct {
	Sockets []Socket `json:"sockets"`
	// FromProc are the protocols that were read from /proc/net because this
	// kernel has no sock_diag for them. What only that tells is then zero:
	// Backlog, Interface, V6Only, Shutdown, SockOpts, Cookie, CgroupID.
	FromProc []Protocol `json:"from_proc,omitzero"`
	// NotListed are the protocols that were asked for and that this kernel
	// tells nothing about: it does not have them, or (MPTCP) no sock_diag for
	// them.
	NotListed []Protocol `json:"not_listed,omitzero"`
	// Walk says how the look for processes went; zero without Options.Processes.
	Walk Walk `json:"walk,omitzero"`
}

// Walk is the account of one look at the descriptors of every process.
type Walk struct {
	Read int `json:"read"` // processes that were looked into
	// Refused are the processes that could not be looked into. They may hold
	// sockets for which no owner was found.
	Refused int `json:"refused"`
	// Unowned are the listed sockets that some process should hold (their Inode
	// is not 0) and for which none was found: held by a process that was
	// refused, that lives outside this PID namespace or that a mount with
	// hidepid hides, or by the kernel itself.
	Unowned int `json:"unowned"`
	// Need is what would have allowed the refused ones; "" where none was, or
	// where this process has it already and is refused for another reason.
	Need string `json:"need,omitzero"`
	// Err says why no process at all could be looked at, such as a missing
	// /proc; "" where there was no such reason.
	Err string `json:"error,omitzero"`
}

// Socket is one socket. A field that the kernel did not tell is zero.
type Socket struct {
	Protocol Protocol `json:"protocol"`
	Family   Family   `json:"family"`
	// Local and Remote are zero for unix and packet sockets. An IPv6 socket that talks
	// IPv4 has addresses such as ::ffff:192.0.2.1. A listener has the
	// unspecified address and port 0 as Remote. For Raw the port of Local is
	// the number of the protocol.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	State  State          `json:"state"`

	RecvQueue uint32 `json:"recv_queue"` // bytes that the process has not read yet; of StateListen see AcceptQueue
	SendQueue uint32 `json:"send_queue"` // bytes not acknowledged (TCP) or not sent (UDP)

	// AcceptQueue, of a listener: connections that wait to be accepted. When it
	// has reached Backlog, new ones are dropped.
	AcceptQueue uint32 `json:"accept_queue,omitzero"`
	Backlog     uint32 `json:"backlog,omitzero"` // of a listener: the limit of AcceptQueue

	Timer       Timer         `json:"timer,omitzero"`
	Expires     time.Duration `json:"expires_ns,omitzero"`  // until Timer fires
	Retransmits uint8         `json:"retransmits,omitzero"` // since the last acknowledgement; with TimerKeepalive or TimerProbe, unanswered probes

	UID       uint32   `json:"uid"`                // who created it, as this user namespace numbers users
	Inode     uint32   `json:"inode"`              // as in "socket:[…]" of /proc/PID/fd; 0: no process holds it any more
	Interface int      `json:"ifindex,omitzero"`   // the interface it is bound to (SO_BINDTODEVICE, or the VRF)
	Device    string   `json:"device,omitzero"`    // the name of Interface, where it still has one
	V6Only    V6Only   `json:"v6only,omitzero"`    // of an IPv6 listener: does it take IPv4 too?
	Shutdown  Shutdown `json:"shutdown,omitzero"`  // which directions are closed
	Mark      uint32   `json:"mark,omitzero"`      // firewall mark; told only with CAP_NET_ADMIN
	CgroupID  uint64   `json:"cgroup_id,omitzero"` // inode of its cgroup v2, since Linux 5.9
	SockOpts  SockOpts `json:"sockopts,omitzero"`  // such as transparent, freebind
	Cookie    uint64   `json:"cookie,omitzero"`    // the kernel's number for it, never used twice

	TCP    *TCPInfo   `json:"tcp_info,omitzero"`   // with Options.Info; of a listener too
	MPTCP  *MPTCPInfo `json:"mptcp_info,omitzero"` // with Options.Info
	Memory *Memory    `json:"memory,omitzero"`     // with Options.Memory
	ULP    string     `json:"ulp,omitzero"`        // upper layer protocol of a TCP socket, such as "tls" or "mptcp"; older kernels tell it only with CAP_NET_ADMIN

	// With Options.Info.
	TOS          uint8  `json:"tos,omitzero"`      // of IPv4 packets (IP_TOS)
	TrafficClass uint8  `json:"tclass,omitzero"`   // of IPv6 packets (IPV6_TCLASS)
	ClassID      uint32 `json:"class_id,omitzero"` // traffic control class (net_cls), or SO_PRIORITY

	Packet *PacketInfo `json:"packet,omitzero"` // of a packet socket

	Type SocketType `json:"type,omitzero"` // of a unix or packet socket
	Path string     `json:"path,omitzero"` // of a unix socket; "@name" in the abstract namespace (unix(7))
	Peer uint32     `json:"peer,omitzero"` // of a unix socket: the Inode at the other end

	Ownership Ownership `json:"ownership,omitzero"` // what Owners stands for
	Owners    []Process `json:"owners,omitzero"`    // by PID, then FD

	Unknown []Attribute `json:"unknown,omitzero"` // what the library has no field for
}

// Listening reports whether others can begin to talk to it: a listener of TCP
// or unix, or a socket of another protocol that is not bound to one peer.
func (s Socket) Listening() bool {
	switch s.Protocol {
	case TCP, MPTCP, Unix:
		return s.State == StateListen
	case Packet:
		return false // it hears; nobody can talk to it
	}
	return s.State == StateClose
}

// Process is a process that holds a socket.
type Process struct {
	PID  int    `json:"pid"`  // in the caller's PID namespace
	Name string `json:"name"` // of the program, at most 15 bytes (proc_pid_comm(5)); any bytes, chosen by the process
	// Program is the last part of the first argument, as netstat shows it;
	// empty where the process has none. Any bytes, chosen by the process.
	Program string `json:"program,omitzero"`
	FD      int    `json:"fd"` // its descriptor; a process may hold a socket more than once
}

// List returns the sockets, those of a protocol and family together, in the
// kernel's order.
func List(ctx context.Context, o *Options) ([]Socket, error) {
	t, err := Read(ctx, o)
	return t.Sockets, err
}

// All yields the sockets one by one as the kernel tells them, those of TCP of
// both families mixed, for lists that are too long to keep. Options.Processes
// does not count. A pair is a socket and nil, or a zero Socket and an error,
// after which it stops; it may be ranged over once.
func All(ctx context.Context, o *Options) iter.Seq2[Socket, error] {
	if o == nil {
		o = &Options{}
	}
	return all(ctx, *o)
}

// Listeners returns who listens, with processes: TCP listeners and UDP sockets
// without a peer, or what [Socket.Listening] holds for among o.Protocols. It
// ignores o.States and o.Processes. What it costs does not depend on how many
// connections there are.
func Listeners(ctx context.Context, o *Options) ([]Socket, error) {
	t, err := ReadListeners(ctx, o)
	return t.Sockets, err
}

// Read is [List] with an account of what the list is made of.
func Read(ctx context.Context, o *Options) (Table, error) {
	if o == nil {
		o = &Options{}
	}
	return read(ctx, *o, func(*Socket) bool { return true })
}

// ReadListeners is [Listeners] with an account of what the list is made of.
func ReadListeners(ctx context.Context, o *Options) (Table, error) {
	if o == nil {
		o = &Options{}
	}
	listeners := *o
	listeners.States = []State{StateListen, StateClose}
	listeners.Processes = true
	return read(ctx, listeners, func(s *Socket) bool { return s.Listening() })
}

func (o *Options) protocols() []Protocol {
	if len(o.Protocols) == 0 {
		return []Protocol{TCP, UDP}
	}
	return o.Protocols
}

// stateMask returns the kernel's bitmap of the states.
func (o *Options) stateMask() uint32 {
	if len(o.States) == 0 {
		return ^uint32(0)
	}
	var mask uint32
	for _, s := range o.States {
		mask |= 1 << s
	}
	return mask
}
