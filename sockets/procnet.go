package sockets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The files of /proc/net (proc(5)), for kernels without sock_diag.
func procFile(p Protocol, f Family) string {
	if p != Unix && p != Packet && f == FamilyIPv6 {
		return p.String() + "6"
	}
	return p.String()
}

// parseProcInet reads /proc/net/tcp and its like. order is the machine's byte
// order, in which the kernel prints addresses.
func parseProcInet(text []byte, p Protocol, f Family, order binary.ByteOrder, add func(*Socket) error) error {
	n := 0
	for line := range bytes.Lines(text) {
		if n++; n == 1 {
			continue // the heading
		}
		s, err := parseProcLine(strings.Fields(string(line)), f, order)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		s.Protocol = p
		if err := add(&s); err != nil {
			return err
		}
	}
	return nil
}

// Columns of /proc/net/tcp.
const (
	colLocal = iota + 1
	colRemote
	colState
	colQueues
	colTimer
	colRetransmits
	colUID
	colTimeout
	colInode
	columns
)

// userHZ is what times in /proc count in (times(2)); a hundred a second on
// every system that Go runs on.
const userHZ = 100

func parseProcLine(col []string, f Family, order binary.ByteOrder) (s Socket, err error) {
	if len(col) < columns {
		return s, fmt.Errorf("%d columns, want %d", len(col), columns)
	}
	number := func(text string, base, bits int) uint64 {
		v, e := strconv.ParseUint(text, base, bits)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	pair := func(text string, bits int) (uint64, uint64) {
		a, b, _ := strings.Cut(text, ":")
		return number(a, 16, bits), number(b, 16, bits)
	}
	s.Family = f
	var e1, e2 error
	s.Local, e1 = procEndpoint(col[colLocal], f, order)
	s.Remote, e2 = procEndpoint(col[colRemote], f, order)
	s.State = State(number(col[colState], 16, 8))
	send, recv := pair(col[colQueues], 32)
	s.setQueues(uint32(recv), uint32(send))
	timer, when := pair(col[colTimer], 64)
	s.Timer = Timer(timer)
	s.Expires = time.Duration(when) * (time.Second / userHZ)
	s.Retransmits = uint8(min(number(col[colRetransmits], 16, 32), 255))
	s.UID = uint32(number(col[colUID], 10, 32))
	s.Inode = uint32(number(col[colInode], 10, 32))
	for _, e := range []error{e1, e2} {
		if e != nil {
			err = e
		}
	}
	return s, err
}

// procEndpoint reads "0100007F:0016": the address as 32 bit numbers of the
// machine, the port as a number.
func procEndpoint(text string, f Family, order binary.ByteOrder) (netip.AddrPort, error) {
	words := 1
	if f == FamilyIPv6 {
		words = 4
	}
	hexAddr, hexPort, _ := strings.Cut(text, ":")
	if len(hexAddr) != 8*words {
		return netip.AddrPort{}, fmt.Errorf("address %q has not %d digits", text, 8*words)
	}
	var raw [16]byte
	for i := range words {
		v, err := strconv.ParseUint(hexAddr[8*i:8*i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, err
		}
		order.PutUint32(raw[4*i:], uint32(v))
	}
	port, err := strconv.ParseUint(hexPort, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if words == 1 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), uint16(port)), nil
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw), uint16(port)), nil
}

// Numbers of /proc/net/unix: the state of struct socket, and the flag of a
// socket that accepts connections.
const (
	unixConnecting = 2
	unixConnected  = 3
	unixAccepts    = 1 << 16
)

// parseProcUnix reads /proc/net/unix. A name may hold any byte, newlines too:
// what does not look like a line is taken for the rest of a name and left out.
func parseProcUnix(text []byte, add func(*Socket) error) error {
	for line := range bytes.Lines(text) {
		if s, ok := parseProcUnixLine(strings.TrimSuffix(string(line), "\n")); ok {
			if err := add(&s); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseProcUnixLine reads "Num: RefCount Protocol Flags Type St Inode Path".
func parseProcUnixLine(line string) (s Socket, ok bool) {
	_, rest, ok := strings.Cut(line, ": ")
	if !ok {
		return s, false
	}
	col := strings.Fields(rest)
	if len(col) < 6 {
		return s, false
	}
	flags, e1 := strconv.ParseUint(col[2], 16, 32)
	typ, e2 := strconv.ParseUint(col[3], 16, 8)
	state, e3 := strconv.ParseUint(col[4], 16, 8)
	inode, e4 := strconv.ParseUint(col[5], 10, 32)
	if e1 != nil || e2 != nil || e3 != nil || e4 != nil {
		return s, false
	}
	s = Socket{Protocol: Unix, Family: FamilyUnix, Type: SocketType(typ), Inode: uint32(inode), State: StateClose}
	switch {
	case flags&unixAccepts != 0:
		s.State = StateListen
	case state == unixConnected:
		s.State = StateEstablished
	case state == unixConnecting:
		s.State = StateSynSent
	}
	if _, path, ok := strings.Cut(rest, " "+col[5]+" "); ok {
		s.Path = path
	}
	return s, true
}

// parseProcPacket reads /proc/net/packet: "sk RefCnt Type Proto Iface R Rmem
// User Inode".
func parseProcPacket(text []byte, add func(*Socket) error) error {
	n := 0
	for line := range bytes.Lines(text) {
		if n++; n == 1 {
			continue // the heading
		}
		col := strings.Fields(string(line))
		if len(col) < 9 {
			return fmt.Errorf("line %d: %d columns, want 9", n, len(col))
		}
		var v [6]uint64
		for i, c := range []struct {
			text string
			base int
		}{{col[2], 10}, {col[3], 16}, {col[4], 10}, {col[6], 10}, {col[7], 10}, {col[8], 10}} {
			var err error
			if v[i], err = strconv.ParseUint(c.text, c.base, 32); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		s := Socket{Protocol: Packet, Family: FamilyPacket, State: StateClose, Type: SocketType(v[0]), Interface: int(v[2]),
			RecvQueue: uint32(v[3]), UID: uint32(v[4]), Inode: uint32(v[5]), Packet: &PacketInfo{Protocol: uint16(v[1])}}
		if col[5] == "1" {
			s.Packet.Flags = 1
		}
		if err := add(&s); err != nil {
			return err
		}
	}
	return nil
}
