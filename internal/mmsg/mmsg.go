// Package mmsg sends and receives many datagrams with one system call
// (sendmmsg(2), recvmmsg(2)), without allocating. On other systems than Linux
// it is empty.
package mmsg
