package portscan_test

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/portscan"
)

// nmapRun is the part of nmap's -oX that says what a port is and why.
type nmapRun struct {
	Ports []struct {
		ID    int `xml:"portid,attr"`
		State struct {
			State  string `xml:"state,attr"`
			Reason string `xml:"reason,attr"`
			From   string `xml:"reason_ip,attr"`
		} `xml:"state"`
	} `xml:"host>ports>port"`
}

// nmapReason is nmap's word for a result of ours.
func nmapReason(r portscan.Result) string {
	switch r.Reason {
	case portscan.ReasonSynAck:
		return "syn-ack"
	case portscan.ReasonConnRefused:
		return "reset"
	case portscan.ReasonNoResponse:
		return "no-response"
	}
	if r.ICMP == nil {
		return r.Reason.String()
	}
	v6 := r.ICMP.From.Is6()
	switch k := r.ICMP.Kind; k {
	case icmperr.NetUnreachable:
		return map[bool]string{false: "net-unreach", true: "no-route"}[v6]
	case icmperr.AdminProhibited:
		return "admin-prohibited"
	case icmperr.PolicyFailed:
		return "admin-prohibited"
	default:
		return map[icmperr.Kind]string{
			icmperr.HostUnreachable: "host-unreach", icmperr.ProtoUnreachable: "proto-unreach",
			icmperr.PortUnreachable: "port-unreach", icmperr.NetProhibited: "net-prohibited",
			icmperr.HostProhibited: "host-prohibited", icmperr.RejectRoute: "reject-route",
			icmperr.BeyondScope: "beyond-scope",
		}[k]
	}
}

// TestAgainstNmap compares states, reasons and senders with a SYN scan, which
// needs root, on a server and a router with random refusals.
func TestAgainstNmap(t *testing.T) {
	if _, err := exec.LookPath("nmap"); err != nil {
		t.Skip("needs nmap")
	}
	s := newScene(t)
	actions := []lab.Action{
		lab.Drop, lab.Accept, lab.RejectReset, lab.Reject(0, 0), lab.Reject(1, 1), lab.Reject(2, 2), lab.Reject(3, 3),
		lab.Reject(9, 4), lab.Reject(10, 5), lab.Reject(13, 6),
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	targets := map[int][]netip.AddrPort{}
	for port := uint16(80); port < 100; port++ {
		at, hook := s.router, lab.Forward
		if rng.IntN(2) == 0 {
			at, hook = s.server, lab.Input
		}
		at.Filter(hook, lab.Rule{Proto: "tcp", DPort: port, SYN: true, Action: actions[rng.IntN(len(actions))]})
		for _, family := range []int{4, 6} {
			targets[family] = append(targets[family], netip.AddrPortFrom(addr["server"][family], port))
		}
	}
	for family, list := range targets {
		ours := map[int]string{}
		for _, r := range s.scan(t, portscan.Options{}, list...) {
			ours[int(r.Target.Port())] = r.State.String() + " " + nmapReason(r)
			if r.ICMP != nil {
				ours[int(r.Target.Port())] += " " + r.From.String()
			}
		}
		if d := cmp.Diff(s.nmap(t, family, "80-99"), ours); d != "" {
			t.Errorf("IPv%d (-nmap +ours)\n%s", family, d)
		}
	}
}

// nmap scans the server and returns a line a port.
func (s *scene) nmap(t *testing.T, family int, ports string) map[int]string {
	t.Helper()
	args := []string{"-sS", "-n", "-Pn", "-T4", "--reason", "-oX", "-", "-p" + ports, addr["server"][family].String()}
	if family == 6 {
		args = append([]string{"-6"}, args...)
	}
	out, err := s.client.Output("nmap", args...)
	var run nmapRun
	if err == nil {
		err = xml.Unmarshal(out, &run)
	}
	if err != nil || len(run.Ports) == 0 {
		t.Fatalf("nmap %v: %v\n%s", args, err, out)
	}
	lines := map[int]string{}
	for _, p := range run.Ports {
		line := p.State.State + " " + p.State.Reason
		if p.State.Reason != "syn-ack" && p.State.Reason != "reset" && p.State.Reason != "no-response" {
			from := p.State.From
			if from == "" { // nmap leaves the target out
				from = addr["server"][family].String()
			}
			line += " " + from
		}
		lines[p.ID] = line
	}
	return lines
}

// TestCounts compares the counts of a scan of all ports with what is there.
func TestCounts(t *testing.T) {
	s := newScene(t)
	open := map[uint16]bool{80: true, 8443: true, 65535: true}
	listen(t, s.server, 8443)
	listen(t, s.server, 65535)
	ports, err := portscan.Ports("-")
	if err != nil {
		t.Fatal(err)
	}
	var targets []netip.AddrPort
	for _, p := range ports {
		targets = append(targets, netip.AddrPortFrom(addr["server"][4+2*rand.IntN(2)], p))
	}
	seen := map[uint16]bool{}
	for _, r := range s.scan(t, portscan.Options{Rate: -1}, targets...) {
		want := portscan.StateClosed
		if open[r.Target.Port()] {
			want = portscan.StateOpen
		}
		if r.State != want || seen[r.Target.Port()] {
			t.Fatalf("%s, seen before: %v", fmt.Sprint(r), seen[r.Target.Port()])
		}
		seen[r.Target.Port()] = true
	}
	if len(seen) != 65535 {
		t.Error(strconv.Itoa(len(seen)) + " results")
	}
}
