package lab

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Server is something that listens inside a host until the test ends.
type Server struct {
	Addr netip.AddrPort // with the port that was chosen for port 0

	mu       sync.Mutex
	closed   bool
	stop     chan struct{} // closed by Close
	open     map[io.Closer]bool
	handlers sync.WaitGroup
}

// Close stops the server before the end of the test: its sockets and
// connections are closed, its handlers have returned.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.handlers.Wait()
}

func newServer(addr net.Addr) *Server {
	s := &Server{stop: make(chan struct{}), open: map[io.Closer]bool{}}
	switch a := addr.(type) {
	case *net.TCPAddr:
		s.Addr = a.AddrPort()
	case *net.UDPAddr:
		s.Addr = a.AddrPort()
	}
	s.Addr = netip.AddrPortFrom(s.Addr.Addr().Unmap(), s.Addr.Port())
	return s
}

// keep has Close close c, and reports false, with c closed, after Close.
func (s *Server) keep(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.open[c] = true
	return true
}

// begin counts a handler that another package's goroutine calls, unless Close
// may be waiting already.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

// forget closes c now.
func (s *Server) forget(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	c.Close()
}

// TCPHandler deals with one connection, which is closed when it returns. It
// must return when the connection is closed under it.
type TCPHandler func(net.Conn)

// Echo sends back what it receives.
func Echo(conn net.Conn) { io.Copy(conn, conn) }

// Discard reads and forgets.
func Discard(conn net.Conn) { io.Copy(io.Discard, conn) }

func listenTCP(addr string, handler TCPHandler) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := newServer(ln.Addr())
	s.serveTCP(ln, handler)
	return s, nil
}

func (s *Server) serveTCP(ln net.Listener, handler TCPHandler) {
	s.keep(ln)
	s.handlers.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if !s.keep(conn) {
				return
			}
			s.handlers.Go(func() {
				defer s.forget(conn)
				handler(conn)
			})
		}
	})
}

// UDPHandler returns the answer to a datagram; nil for none. It is called from
// one goroutine, and the datagram is valid during the call.
type UDPHandler func(packet []byte, from netip.AddrPort) []byte

// EchoPacket answers with what it was sent.
func EchoPacket(packet []byte, _ netip.AddrPort) []byte { return packet }

func listenUDP(addr string, handler UDPHandler) (*Server, error) {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	s := newServer(conn.LocalAddr())
	s.serveUDP(conn.(*net.UDPConn), func(packet []byte, from netip.AddrPort, reply func([]byte)) {
		if answer := handler(packet, from); answer != nil {
			reply(answer)
		}
	})
	return s, nil
}

// serveUDP calls handle for every datagram; reply may be called later and from
// other goroutines.
func (s *Server) serveUDP(conn *net.UDPConn, handle func(packet []byte, from netip.AddrPort, reply func([]byte))) {
	s.keep(conn)
	s.handlers.Go(func() {
		for buf := make([]byte, 1<<16); ; {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				if s.stopped() {
					return
				}
				continue // an ICMP error about an earlier answer
			}
			handle(buf[:n], from, func(answer []byte) { conn.WriteToUDPAddrPort(answer, from) })
		}
	})
}

func (s *Server) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

func listenHTTP(addr string, handler http.Handler) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := newServer(ln.Addr())
	web := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.begin() {
				defer s.handlers.Done()
				handler.ServeHTTP(w, r)
			}
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.keep(web)
	s.handlers.Go(func() { web.Serve(ln) })
	return s, nil
}
