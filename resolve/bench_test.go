package resolve

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// benchServer answers every query of loopback for www.example with one address,
// doing as little as it can.
func benchServer(b *testing.B) netip.AddrPort {
	b.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			end := headerLen + bytes.IndexByte(buf[headerLen:n], 0) + 5
			msg := append(buf[:end], 0xc0, headerLen, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
			msg[2], msg[3] = 0x81, 0x80
			copy(msg[6:12], []byte{0, 1, 0, 0, 0, 0})
			c.WriteToUDPAddrPort(msg, from)
		}
	}()
	b.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkQuery is one question: a fresh socket, and the whole record of it.
func BenchmarkQuery(b *testing.B) {
	server, q := benchServer(b), Question{Name: "www.example"}
	b.ReportAllocs()
	for b.Loop() {
		a, err := Client{}.Query(b.Context(), server, q)
		if err != nil || a.Outcome != OutcomeAnswer {
			b.Fatal(a.Outcome, err)
		}
	}
}

// BenchmarkNetResolver is the same question through package net.
func BenchmarkNetResolver(b *testing.B) {
	server := benchServer(b)
	var d net.Dialer
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, server.String())
	}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupNetIP(b.Context(), "ip4", "www.example."); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookup is A and AAAA at the same time, from given files.
func BenchmarkLookup(b *testing.B) {
	server := benchServer(b)
	o := &LookupOptions{
		Config: &Config{Servers: []netip.AddrPort{server}, Ndots: 1, Attempts: 1, Timeout: defaultTimeout},
		Hosts:  &Hosts{}, NSSwitch: &NSSwitch{},
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Lookup(b.Context(), "www.example", o)
		if err != nil || r.Outcome != OutcomeAnswer {
			b.Fatal(r.Outcome, err)
		}
	}
}

// BenchmarkParseMessage decodes a typical reply: two aliases, two addresses, two
// servers, EDNS.
func BenchmarkParseMessage(b *testing.B) {
	a := &asked{}
	a.Question.Name.Data[0], a.Question.Name.Length, a.Question.Type, a.Question.Class = '.', 1, 1, 1
	msg := a.msg(0, rrCNAME("www.example.", "a.example."), rrCNAME("a.example.", "b.example."),
		rrA("b.example.", "192.0.2.1"), rrA("b.example.", "192.0.2.2"),
		authority(ns("example.", "ns1.example."), ns("example.", "ns2.example.")), opt(0))
	b.ReportAllocs()
	for b.Loop() {
		if m := parseMessage(msg); m.defect != nil {
			b.Fatal(m.defect)
		}
	}
}

func BenchmarkParseConfig(b *testing.B) {
	const text = "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2 edns0 trust-ad\n"
	b.ReportAllocs()
	for b.Loop() {
		if c, err := ParseConfig(strings.NewReader(text)); err != nil || len(c.Servers) != 2 {
			b.Fatal(err)
		}
	}
}
