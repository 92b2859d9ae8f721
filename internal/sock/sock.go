// Package sock is what rooms with sockets of their own share on Linux: the
// options every socket can be given, address conversion, kernel timestamps
// and waiting on many sockets at once with a context.
//
// Sockets are opened on the calling goroutine, so that the network namespace
// of a locked thread sticks.
package sock
