package main

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
)

// forge has the first router send the client time exceeded messages that
// quote real probes but for what it would have to guess: the token. It returns
// what ends that and tells how many were sent.
func forge(s *stage, p *lab.Path, v6 bool) (stop func() int) {
	var in, out int
	err := p.Routers[0].Do(func() (err error) {
		if in, err = tap(p, v6); err != nil {
			return err
		}
		family, proto := unix.AF_INET, unix.IPPROTO_ICMP
		if v6 {
			family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
		}
		out, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	sent := 0
	wg.Go(func() {
		buf := make([]byte, 2000)
		for {
			select {
			case <-done:
				return
			default:
			}
			n, _, err := unix.Recvfrom(in, buf, 0)
			if err == unix.EAGAIN || err == unix.EINTR || n <= 0 {
				continue
			}
			if forgeOne(out, buf[:n]) {
				sent++
			}
			time.Sleep(200 * time.Microsecond) // thousands a second are enough
		}
	})
	return func() int {
		close(done)
		wg.Wait()
		unix.Close(in)
		unix.Close(out)
		return sent
	}
}

// tap opens a packet socket for what the client sends.
func tap(p *lab.Path, v6 bool) (int, error) {
	proto := uint16(unix.ETH_P_IP)
	if v6 {
		proto = unix.ETH_P_IPV6
	}
	network := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, proto))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(network))
	if err != nil {
		return -1, err
	}
	// One packet of 64 is enough, and does not slow down the others.
	code, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtRand}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 63},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, bpf.RetConstant{Val: 2000}, bpf.RetConstant{Val: 0},
	})
	if err == nil {
		filter := make([]unix.SockFilter, len(code))
		for i, c := range code {
			filter[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
		}
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000})
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: p.Links[0].B.Index()})
	}
	return fd, err
}

// forgeOne sends a message about a probe with another token: random bits in
// the identification and behind the ports.
func forgeOne(fd int, probe []byte) bool {
	q, ok := wire.ParseQuote(probe)
	if !ok || len(q.Transport) < 8 {
		return false
	}
	rest := len(probe) - len(q.Transport)
	msg := append(make([]byte, 8), probe...)
	msg[0] = 11
	if q.V6 {
		msg[0] = 3
	} else {
		binary.BigEndian.PutUint16(msg[8+4:], uint16(rand.Uint32()))
	}
	for i := 8 + rest + 4; i < len(msg); i++ {
		msg[i] = byte(rand.Uint32())
	}
	// As short as routers quote. Of UDP over IPv6 that leaves 16 bits to guess,
	// which somebody who sees the probes, as here, will do within a minute.
	if rand.N(2) == 0 && !(q.V6 && q.Protocol == wire.ProtoUDP) {
		msg = msg[:8+rest+8]
	}
	if !q.V6 {
		wire.SetICMPChecksum(msg)
		return unix.Sendto(fd, msg, 0, &unix.SockaddrInet4{Addr: q.Src.As4()}) == nil
	}
	return unix.Sendto(fd, msg, 0, &unix.SockaddrInet6{Addr: q.Src.As16()}) == nil
}
