package lab

import (
	"errors"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

// ListenTCP serves connections to an address of the host, such as
// "10.0.0.2:80" or ":80". See Echo and Discard.
func (h *Host) ListenTCP(addr string, handler TCPHandler) *Server {
	h.lab.t.Helper()
	return h.serve(addr, func() (*Server, error) { return listenTCP(addr, handler) })
}

// ListenUDP answers datagrams to an address of the host. See EchoPacket.
func (h *Host) ListenUDP(addr string, handler UDPHandler) *Server {
	h.lab.t.Helper()
	return h.serve(addr, func() (*Server, error) { return listenUDP(addr, handler) })
}

// ServeHTTP serves HTTP at an address of the host. Handlers that wait must
// return when their request's context ends.
func (h *Host) ServeHTTP(addr string, handler http.Handler) *Server {
	h.lab.t.Helper()
	return h.serve(addr, func() (*Server, error) { return listenHTTP(addr, handler) })
}

// ServeDNS answers DNS queries over UDP and TCP at an address of the host,
// normally port 53.
func (h *Host) ServeDNS(addr string, handler DNSHandler) *Server {
	h.lab.t.Helper()
	return h.serve(addr, func() (*Server, error) { return listenDNS(addr, handler) })
}

// serve opens the sockets of a server inside the host.
func (h *Host) serve(addr string, listen func() (*Server, error)) *Server {
	h.lab.t.Helper()
	var s *Server
	open := func() (err error) {
		s, err = listen()
		return err
	}
	err := h.inside(open)
	// A listener that was closed may live on for a moment in a process that is
	// being started elsewhere: it has it from fork to exec.
	for tries := 0; errors.Is(err, unix.EADDRINUSE) && tries < 100; tries++ {
		time.Sleep(10 * time.Millisecond)
		err = h.inside(open)
	}
	h.lab.check(err, "%s: listen at %s", h.Name, addr)
	h.lab.atEnd(s.Close)
	return s
}
