package trace

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

// TestFewSockets sends more flows than there may be sockets: each keeps its
// port, and its answers.
func TestFewSockets(t *testing.T) {
	o, err := Options{}.forMultipath(MethodUDP)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newUDPFlows(context.Background(), netip.MustParseAddr("127.0.0.1"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.sockets = 2
	ports := map[int]FlowID{}
	for id := range 20 {
		flow := id % 5
		if err := s.sendFlow(id, flow, 64); err != nil {
			t.Fatal(err)
		}
		if open := len(s.byFD); open > 2 {
			t.Fatalf("%d sockets", open)
		}
		if was, ok := ports[flow]; ok && was != s.name(flow) || s.name(flow) == 0 {
			t.Errorf("flow %d has port %d, had %d", flow, s.name(flow), was)
		}
		ports[flow] = s.name(flow)
		var got []answer
		for deadline := time.Now().Add(10 * time.Second); len(got) == 0 && time.Now().Before(deadline); {
			if got, err = s.wait(deadline); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 1 || got[0].id != id || got[0].reply.Outcome != OutcomePortUnreachable {
			t.Fatalf("probe %d: %+v", id, got)
		}
	}
	if len(ports) != 5 {
		t.Errorf("ports %v", ports)
	}
}

// TestAllSocketsBusy: a socket with a probe in flight is not taken away.
func TestAllSocketsBusy(t *testing.T) {
	o, err := Options{}.forMultipath(MethodUDP)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newUDPFlows(context.Background(), netip.MustParseAddr("127.0.0.1"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.sockets = 1
	if err := s.sendFlow(0, 0, 64); err != nil {
		t.Fatal(err)
	}
	if err := s.sendFlow(1, 1, 64); !s.transient(err) {
		t.Errorf("the second flow: %v", err)
	}
	s.forget(0)
	if err := s.sendFlow(1, 1, 64); err != nil {
		t.Error(err)
	}
}

// TestPortsAreKept: no flow is given the port of one whose socket is closed,
// nor does a flow of the other family keep one from coming back.
func TestPortsAreKept(t *testing.T) {
	var both []*udpFlows
	for _, dst := range []string{"127.0.0.1", "::1"} {
		o, err := Options{}.forMultipath(MethodUDP)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newUDPFlows(context.Background(), netip.MustParseAddr(dst), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		s.sockets = 200
		both = append(both, s)
	}
	const flows = 1500
	id := 0
	for range 2 {
		for flow := range flows {
			for _, s := range both {
				if err := s.sendFlow(id, flow, 64); err != nil {
					t.Fatalf("flow %d: %v", flow, err)
				}
				s.forget(id)
				id++
			}
		}
	}
	for _, s := range both {
		ports := map[FlowID]bool{}
		for flow := range flows {
			ports[s.name(flow)] = true
		}
		if len(ports) != flows {
			t.Errorf("%v: %d ports", s.network().dst, len(ports))
		}
	}
}
