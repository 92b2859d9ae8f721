// Package lab is the network laboratory of the tests: hosts, routers, switches
// and cables in Linux network namespaces, built over netlink in a few
// milliseconds, as root or as an ordinary user, and gone when the test ends.
//
// A package that uses it has a TestMain that returns [Main]. Then a test builds
// what it needs, by hand as in the example or ready-made by Chain, TwoNets and
// LAN, breaks it, and looks at it from inside a host:
//
//	Build    Host, Router, Switch; Connect, Wire; Addr, Route, Neighbor, Sysctl, Netlink
//	Break    Link.Down, Port.Unplug, Down, FlushAddrs, DelRoute, Blackhole, Unreachable,
//	         Prohibit, Filter, Policy, PowerOff, Switch.Isolate, Impair, ResolvConf, Hosts
//	Serve    ListenTCP, ListenUDP, ServeHTTP, ServeDNS with a Zone or a script
//	Look     Do, DoUnprivileged, Command, Output, OutputUnprivileged, RunChild
//	Prove    Counter.Packets, Wire.Stats: the fault was really met
//
// # Where code runs
//
// Do runs a function on one thread inside the host. Goroutines that it starts
// are outside, so that only code which opens its sockets on the calling
// goroutine can be tested this way; look-ups of names by package net cannot.
// RunChild runs a function of the test binary in a process of its own, where
// everything is inside, with or without capabilities.
//
// # Without root
//
// Everything works in a user namespace, with these differences: there is one
// user and one group, 0, which are the ones who run the tests, so that an
// unprivileged process is uid 0 without capabilities instead of nobody;
// net.ipv4.ping_group_range reads as "0 0" when it is open and can be closed
// only before the first use of a host; a wire has shorter buffers.
//
// # What is not like a machine
//
// IPv6 has no duplicate address detection, no router solicitations and accepts
// no advertisements; rp_filter is off; routers send no redirects and do not
// limit the rate of ICMP errors. Hosts do limit it, as Linux does. A cable is
// a veth pair: packets may cross it with segmentation and checksums left to
// the receiver, which a Wire prevents.
package lab
