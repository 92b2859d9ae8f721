package main

import (
	"os"
	"testing"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/ping"

	"net/netip"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("ping", func([]string) int {
		cli.Main("ping", run)
		return 0
	})
	os.Exit(lab.Main(m))
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		20 * time.Microsecond: "0.020", 1234 * time.Microsecond: "1.23", 12345 * time.Microsecond: "12.3", 123456 * time.Microsecond: "123",
	} {
		if got := millis(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestICMPWords(t *testing.T) {
	r4, r6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tc := range []struct {
		e    ping.ICMPError
		want string
	}{
		{icmperr.New(r4, 3, 1), "Destination Host Unreachable"},
		{ping.ICMPError{From: r4, Type: 3, Code: 4, MTU: 1300}, "Frag needed and DF set (mtu = 1300)"},
		{icmperr.New(r4, 3, 99), "Dest Unreachable, Bad Code: 99"},
		{icmperr.New(r4, 11, 0), "Time to live exceeded"},
		{icmperr.New(r4, 12, 0), "Parameter problem: pointer = 0"},
		{icmperr.New(r6, 1, 3), "Destination unreachable: Address unreachable"},
		{icmperr.New(r6, 1, 6), "Destination unreachable: Unknown code 6"},
		{icmperr.New(r6, 3, 0), "Time exceeded: Hop limit"},
		{icmperr.New(r6, 9, 0), "unknown icmp type: 9"},
	} {
		if got := icmpWords(&tc.e); got != tc.want {
			t.Errorf("%v %d/%d: %q, want %q", tc.e.From, tc.e.Type, tc.e.Code, got, tc.want)
		}
	}
}

func TestPlot(t *testing.T) {
	p := &plot{last: []time.Duration{time.Millisecond, 8 * time.Millisecond, lost, failed, 64 * time.Millisecond}}
	if got, want := p.line(), "▁▄!E█ 1.00…64.0 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.ascii = true
	if got, want := p.line(), "_~!E# 1.00..64.0 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p = &plot{last: []time.Duration{20 * time.Millisecond, 21 * time.Millisecond, 22 * time.Millisecond}}
	if got, want := p.line(), "▁▁▁ 20.0…22.0 ms"; got != want {
		t.Errorf("hardly changing: %q, want %q", got, want)
	}
	if got := (&plot{last: []time.Duration{lost}}).line(); got != "!" {
		t.Errorf("only losses: %q", got)
	}
}

func TestGenerate(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		n     int // -1 is an error
		total int
	}{
		{[]string{"192.0.2.0/30"}, 2, 2},
		{[]string{"192.0.2.1", "192.0.2.9"}, 9, 9},
		{[]string{"192.0.2.0/31", "2001:db8::/126"}, 6, 6},
		{[]string{"255.255.255.250", "255.255.255.255"}, 6, 6},
		{[]string{"192.0.2.9", "192.0.2.1"}, -1, 0},
		{[]string{"192.0.2.1"}, -1, 0},
	} {
		hosts, total, err := generate(tc.args)
		if err != nil || tc.n < 0 {
			if tc.n >= 0 || err == nil {
				t.Errorf("%q: %v", tc.args, err)
			}
			continue
		}
		n := 0
		for range hosts {
			n++
		}
		if n != tc.n || total != tc.total {
			t.Errorf("%q: %d hosts of %d, want %d of %d", tc.args, n, total, tc.n, tc.total)
		}
	}
}
