package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
)

// forger answers echo request number n of whoever asks with the nth part of a
// script: the same for both programs.
type forger struct {
	fd, other int // the other one sends from another address of the host
	own       netip.Addr
	script    []func(f *forger, q *request)
}

// request is an echo request with its IP header.
type request struct {
	packet, icmp []byte
	to           unix.Sockaddr
}

// failure answers with an ICMP error.
func failure(typ, code uint8, rest uint32) func(*forger, *request) {
	return func(f *forger, q *request) {
		msg := append([]byte{typ, code, 0, 0}, binary.BigEndian.AppendUint32(nil, rest)...)
		f.send(f.fd, append(msg, q.packet...), q.to)
	}
}

// echo answers with a reply that is changed.
func echo(times int, change func([]byte) []byte) func(*forger, *request) {
	return func(f *forger, q *request) {
		for range times {
			f.send(f.fd, change(f.reply(q)), q.to)
		}
	}
}

func same(b []byte) []byte { return b }

func elsewhere(f *forger, q *request) { f.send(f.other, f.reply(q), q.to) }

func (f *forger) reply(q *request) []byte {
	b := append([]byte(nil), q.icmp...)
	if b[0]++; f.own.Is4() {
		b[0] = 0
	}
	b[2], b[3] = 0, 0
	return b
}

func (f *forger) send(fd int, msg []byte, to unix.Sockaddr) {
	if f.own.Is4() {
		wire.SetICMPChecksum(msg)
	}
	unix.Sendto(fd, msg, 0, to)
}

// forge makes a host answer that way until the test ends.
func forge(t *testing.T, h *lab.Host, own, other string, script []func(*forger, *request)) {
	t.Helper()
	f := &forger{own: netip.MustParseAddr(own), script: script}
	family, proto, ignore := unix.AF_INET, unix.IPPROTO_ICMP, "net/ipv4/icmp_echo_ignore_all"
	if !f.own.Is4() {
		family, proto, ignore = unix.AF_INET6, unix.IPPROTO_ICMPV6, "net/ipv6/icmp/echo_ignore_all"
	}
	h.Sysctl(ignore, "1")
	err := h.Do(func() (err error) {
		for fd, addr := range map[*int]string{&f.fd: own, &f.other: other} {
			if *fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto); err != nil {
				return err
			}
			a := netip.MustParseAddr(addr)
			if a.Is4() {
				err = unix.Bind(*fd, &unix.SockaddrInet4{Addr: a.As4()})
			} else {
				err = unix.Bind(*fd, &unix.SockaddrInet6{Addr: a.As16()})
			}
			if err != nil {
				return err
			}
		}
		return unix.SetsockoptTimeval(f.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000})
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for buf := make([]byte, 2048); ; {
			select {
			case <-stop:
				return
			default:
			}
			if n, from, err := unix.Recvfrom(f.fd, buf, 0); err == nil {
				f.answer(append([]byte(nil), buf[:n]...), from)
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait(); unix.Close(f.fd); unix.Close(f.other) })
}

func (f *forger) answer(b []byte, from unix.Sockaddr) {
	q := &request{packet: b, icmp: b, to: from}
	if sa, ok := from.(*unix.SockaddrInet6); ok { // the kernel has taken the header off
		h := wire.IPv6{Length: uint16(len(b)), NextHeader: wire.ProtoICMPv6, HopLimit: 63, Src: netip.AddrFrom16(sa.Addr), Dst: f.own}
		header := make([]byte, wire.IPv6Len)
		h.Put(header)
		q.packet = append(header, b...)
	} else {
		q.icmp = b[int(b[0]&15)*4:]
	}
	if len(q.icmp) < 16 || q.icmp[0] != 8 && q.icmp[0] != 128 {
		return
	}
	if n := int(binary.BigEndian.Uint16(q.icmp[6:])); n > 0 && n <= len(f.script) {
		f.script[n-1](f, q)
	}
}

// forgedPair is a client and a host with two addresses that forges.
func forgedPair(t *testing.T) (client, server *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, server = l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), server.Port("eth0", "10.1.0.1/24", "10.1.0.7/24", "fd00:1::1/64", "fd00:1::7/64"))
	return client, server
}

// What no router of Linux sends, in the words of the installed ping: every code
// of every error in both families, and replies that are repeated, damaged, cut
// short or from somebody else.
func TestAgainstPingForged(t *testing.T) {
	client, server := forgedPair(t)
	replies := []func(*forger, *request){
		echo(2, same), elsewhere,
		echo(1, func(b []byte) []byte { b[8+20] ^= 0x40; return b }),
		echo(1, func(b []byte) []byte { b[len(b)-1]++; return b }),
		echo(1, func(b []byte) []byte { return b[:40] }),
		echo(1, same),
	}
	script4, script6 := append(replies[:len(replies):len(replies)], failure(12, 0, 20<<24), failure(11, 0, 0)), replies
	for code := range uint8(18) {
		script4 = append(script4, failure(3, code, 1300))
	}
	for code := range uint8(9) {
		script6 = append(script6, failure(1, code, 0))
	}
	script6 = append(script6, failure(2, 0, 1400), failure(3, 0, 0), failure(3, 1, 0), failure(3, 2, 0), failure(4, 0, 0), failure(4, 1, 0), failure(4, 2, 0), failure(4, 3, 0))
	rand.Shuffle(len(script4), func(i, j int) { script4[i], script4[j] = script4[j], script4[i] })
	rand.Shuffle(len(script6), func(i, j int) { script6[i], script6[j] = script6[j], script6[i] })
	forge(t, server, "10.1.0.1", "10.1.0.7", script4)
	forge(t, server, "fd00:1::1", "fd00:1::7", script6)
	compareAll(t, client, false, []string{
		fmt.Sprintf("-c %d -i 0.03 10.1.0.1", len(script4)), fmt.Sprintf("-c %d -i 0.03 -O -D 10.1.0.1", len(script4)),
		fmt.Sprintf("-c %d -i 0.03 -f 10.1.0.1", len(script4)), fmt.Sprintf("-c %d -i 0.03 -q 10.1.0.1", len(script4)),
		fmt.Sprintf("-c %d -i 0.03 -O fd00:1::1", len(script6)), fmt.Sprintf("-c %d -i 0.03 -q fd00:1::1", len(script6)),
	})
}

// A redirect is shown and is no error; the installed ping, without privileges,
// counts it as one and forgets the reply.
func TestRedirect(t *testing.T) {
	client, server := forgedPair(t)
	via := binary.BigEndian.Uint32([]byte{10, 1, 0, 3})
	then := func(code uint8) func(*forger, *request) {
		return func(f *forger, q *request) { failure(5, code, via)(f, q); echo(1, same)(f, q) }
	}
	forge(t, server, "10.1.0.1", "10.1.0.7", []func(*forger, *request){then(0), then(1), then(2), then(3), failure(4, 0, 0)})
	out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields("-c 5 -i 0.05 -W 0.2 -w 1 10.1.0.1")...))
	var want strings.Builder
	want.WriteString("PING 10.1.0.1 (10.1.0.1) 56(84) bytes of data.\n")
	for i, words := range []string{"Redirect Network", "Redirect Host", "Redirect Type of Service and Network", "Redirect Type of Service and Host"} {
		fmt.Fprintf(&want, "From 10.1.0.1: icmp_seq=%d %s(New nexthop: 10.1.0.3)\n64 bytes from 10.1.0.1: icmp_seq=%d ttl=64 time=T ms\n", i+1, words, i+1)
	}
	want.WriteString("From 10.1.0.1: icmp_seq=5 Source Quench\n")
	got, rest, _ := strings.Cut(out, "\n---")
	if d := cmp.Diff(want.String(), got); d != "" || !strings.Contains(rest, " 4 received, ") || code != 1 || errs != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s%s", code, errs, d, rest)
	}
}
