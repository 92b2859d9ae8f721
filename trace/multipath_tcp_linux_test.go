package trace

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTCPPortTaken: while another socket has the port of a flow, the flow waits
// for it; it is not given another port, which would be another path.
func TestTCPPortTaken(t *testing.T) {
	o, err := Options{Port: 1}.forMultipath(MethodTCP)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newTCPFlows(context.Background(), netip.MustParseAddr("127.0.0.1"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.sendFlow(0, 0, 64); err != nil {
		t.Fatal(err)
	}
	port := s.name(0)
	answered(t, s)
	other, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		t.Skip("somebody else was given the port: ", err)
	}
	defer other.Close()
	if err := s.sendFlow(1, 0, 64); !errors.Is(err, unix.EADDRINUSE) || !s.transient(err) {
		t.Errorf("the port is taken: %v", err)
	}
	if len(s.flights) != 0 || s.name(0) != port {
		t.Errorf("%d probes in flight, port %d, had %d", len(s.flights), s.name(0), port)
	}
	other.Close()
	if err := s.sendFlow(1, 0, 64); err != nil || s.name(0) != port {
		t.Fatalf("the port is free: %v, port %d, had %d", err, s.name(0), port)
	}
	answered(t, s)
}

// answered waits for the one probe in flight.
func answered(t *testing.T, s *tcpFlows) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(s.flights) > 0; {
		if _, err := s.wait(deadline); err != nil || time.Now().After(deadline) {
			t.Fatalf("no answer: %v", err)
		}
	}
}
