// Package netsonde is the map of a house; the code is in its rooms. Each room
// is a package of its own for one question that network troubleshooting asks,
// and can be used without the others.
//
//	ping       does it answer, how fast, what is lost?
//	trace      which way do packets take, where do they stop or get lost?
//	portscan   which ports are open, closed or filtered, and who says so?
//	link       interfaces, their addresses, counters and hardware
//	route      routes, rules, neighbours, and what the kernel would choose
//	resolve    what each name server answers, seen from outside
//	sockets    who listens, who talks, and which process that is
//	diagnose   the whole procedure: facts, causes, a verdict
//
// Mini-tools under examples/ reproduce the classic commands on top of them.
// Imports point one way: internal, rooms, diagnose, examples; rooms never
// import each other.
//
// # Privileges
//
// Every room does what the kernel allows without privileges, says which method
// it used and why, and never switches in mid-run. A refused operation is an
// error that matches [os.ErrPermission] and names what would allow it.
//
//	room       as an ordinary user                       with more
//	ping       ICMP where net.ipv4.ping_group_range      CAP_NET_RAW: ICMP
//	           includes the user's group; TCP always     everywhere, NodeQuery
//	trace      UDP, TCP; ICMP as ping has it             CAP_NET_RAW: ICMP, Engine
//	portscan   connect scan                              nothing more
//	link       everything but wake-on-LAN, modules       CAP_NET_ADMIN: these,
//	           and MII registers                         and setting
//	route      everything                                CAP_NET_ADMIN: setting
//	resolve    everything                                nothing more
//	sockets    every socket; the processes of the user   CAP_SYS_PTRACE and
//	                                                     CAP_DAC_READ_SEARCH:
//	                                                     all processes;
//	                                                     CAP_NET_ADMIN: marks,
//	                                                     filters of captures
//
// A firewall mark on a socket needs CAP_NET_ADMIN or, since Linux 5.17,
// CAP_NET_RAW; entering another network namespace needs CAP_SYS_ADMIN.
//
// # Contracts
//
// These hold in every room.
//
//   - Losses are data. A timeout, a refusal or NXDOMAIN is a field of a
//     result. An error means that the work cannot go on. What could not be
//     tested on this side (no descriptors, no permission, no buffers) is never
//     reported as the network's answer.
//   - Facts have three values: yes, no, and not checked. Nothing that was not
//     seen is shown as seen.
//   - Snapshots are slices. Streams are iter.Seq2[T, error]: each pair is a
//     value and nil, or a zero value and an error, after which it stops. A
//     stream is for a single use. If the context ends, the last pair carries
//     context.Cause of it. Breaking out of the loop has released every socket
//     and goroutine before the next statement runs.
//   - Options are structs. Nil is the zero value, a zero field is the
//     documented default, a negative one is off.
//   - Results are plain structs of [net/netip] and [time] values and of typed
//     words that have a text form. In JSON names are lower_snake, durations are
//     integers of nanoseconds. What a newer kernel adds is kept and counted,
//     never dropped, and never an error.
//   - Errors are an OpError with an operation, a target and a cause. Causes
//     match [os.ErrPermission], [os.ErrNotExist], [errors.ErrUnsupported] and
//     errnos. On other systems than Linux what needs Linux returns
//     [errors.ErrUnsupported].
//   - A context is the first parameter of everything that waits; when it ends,
//     the call returns within 100 ms. Goroutines are started and joined inside
//     a call. Sockets are opened on the calling goroutine, so that a locked
//     thread's network namespace holds for them.
//   - No package state, no logging, no other processes. Nothing is sent to a
//     host that the caller did not name and the system is not set up to use,
//     and rates are bounded by default.
package netsonde
