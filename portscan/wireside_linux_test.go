package portscan_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/portscan"
)

// A connection that opened is reset, not left behind.
func TestReset(t *testing.T) {
	s := newScene(t)
	var l net.Listener
	err := s.server.Do(func() (err error) {
		l, err = net.Listen("tcp", ":8080")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, target := range both(8080) {
		r := s.scan(t, portscan.Options{}, target)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if conn.RemoteAddr().String() != r[0].Local.String() {
			t.Errorf("the server sees %v, the result says %v", conn.RemoteAddr(), r[0].Local)
		}
		_, err = conn.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) || !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%v: the server reads: %v", words(r[0]), err)
		}
		conn.Close()
	}
}

// Targets in other forms are scanned, and told as they were given.
func TestAddresses(t *testing.T) {
	s := newScene(t)
	var linkLocal netip.Addr
	err := s.router.Do(func() error {
		ifi, err := net.InterfaceByName("lan")
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsLinkLocalUnicast() {
				linkLocal, _ = netip.AddrFromSlice(n.IP)
			}
		}
		return err
	})
	if err != nil || !linkLocal.IsValid() {
		t.Fatal("no link-local address: ", err)
	}
	listen(t, s.router, 81)
	for _, target := range []netip.AddrPort{
		netip.AddrPortFrom(linkLocal.WithZone("eth0"), 81),
		netip.AddrPortFrom(netip.AddrFrom16(addr["server"][4].As16()), 80),
	} {
		for _, r := range s.scan(t, portscan.Options{}, target) {
			if r.Target != target || r.State != portscan.StateOpen {
				t.Errorf("%+v", r)
			}
		}
	}
	for _, target := range []netip.AddrPort{{}, netip.AddrPortFrom(addr["server"][4], 0)} {
		r := s.scan(t, portscan.Options{}, target)
		if len(r) != 1 || r[0].State != portscan.StateNotTested || r[0].Reason != portscan.ReasonLocalError || r[0].Err == "" {
			t.Error(fmt.Sprint(target), r)
		}
	}
}
