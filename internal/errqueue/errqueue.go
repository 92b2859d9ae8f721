// Package errqueue reads the error queue of a Linux socket (ip(7), IP_RECVERR):
// ICMP errors with their sender, also on sockets of a user without privileges,
// and transmit timestamps. On other systems the package is empty.
package errqueue
