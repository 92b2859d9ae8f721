package sockets

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// Filter restricts a list to sockets by their two ends. The kernel leaves out
// the others before anything is copied (INET_DIAG_REQ_BYTECODE of
// linux/inet_diag.h), and what it gives is looked at once more. Sockets without
// such ends, those of [Unix] and [Packet], pass the zero Filter only.
type Filter struct {
	Local  []Endpoint // the local end is one of these; empty: any
	Remote []Endpoint // the remote end is one of these; empty: any
	Either []Endpoint // the local or the remote end is one of these; empty: any
	// Interface is the index of the interface that the socket is bound to
	// (SO_BINDTODEVICE); 0: any.
	Interface int
}

// Endpoint is a set of addresses and a range of ports.
type Endpoint struct {
	// Prefix holds the address; the zero Prefix is any address. One of IPv4
	// also holds addresses such as ::ffff:192.0.2.1, which IPv6 sockets have
	// when they talk IPv4; 0.0.0.0/0 is every address of IPv4, ::/0 of IPv6.
	Prefix netip.Prefix
	// From and To bound the port; To 0 is From alone, and both 0 any port.
	From, To uint16
}

func (f *Filter) zero() bool {
	return len(f.Local) == 0 && len(f.Remote) == 0 && len(f.Either) == 0 && f.Interface == 0
}

// match is the filter without the kernel.
func (f *Filter) match(s *Socket) bool {
	if f.zero() {
		return true
	}
	if !s.Protocol.internet() {
		return false
	}
	in := func(list []Endpoint, ap netip.AddrPort) bool {
		return slices.ContainsFunc(list, func(e Endpoint) bool { return e.holds(ap) })
	}
	return (len(f.Local) == 0 || in(f.Local, s.Local)) &&
		(len(f.Remote) == 0 || in(f.Remote, s.Remote)) &&
		(len(f.Either) == 0 || in(f.Either, s.Local) || in(f.Either, s.Remote)) &&
		(f.Interface == 0 || f.Interface == s.Interface)
}

func (e Endpoint) holds(ap netip.AddrPort) bool {
	if from, to := e.ports(); ap.Port() < from || ap.Port() > to {
		return false
	}
	if !e.Prefix.IsValid() {
		return true
	}
	a := ap.Addr().WithZone("")
	if e.Prefix.Addr().Is4() {
		a = a.Unmap()
	}
	return e.Prefix.Contains(a)
}

func (e Endpoint) ports() (from, to uint16) {
	switch {
	case e.From == 0 && e.To == 0:
		return 0, math.MaxUint16
	case e.To == 0:
		return e.From, e.From
	}
	return e.From, e.To
}

// Codes of enum in linux/inet_diag.h.
const (
	bcJump       = 1
	bcLocalFrom  = 2
	bcLocalTo    = 3
	bcRemoteFrom = 4
	bcRemoteTo   = 5
	bcLocalAddr  = 7
	bcRemoteAddr = 8
	bcInterface  = 9

	sizeofOp = 4 // struct inet_diag_bc_op: code, size as step to the next, step when the condition fails
	// maxBytecode is less than an attribute can hold, and than its steps reach.
	maxBytecode = 60_000
)

// condition is an operation that goes on or fails.
type condition struct {
	code uint8
	data []byte // what follows the operation
}

// bytecode compiles the filter; nil where there is nothing to ask for, or where
// it is longer than the kernel takes.
func (f *Filter) bytecode() []byte {
	var groups [][][]condition // all groups hold, each by one of its rows of conditions
	if f.Interface != 0 {
		groups = append(groups, [][]condition{{{bcInterface, binary.NativeEndian.AppendUint32(nil, uint32(f.Interface))}}})
	}
	add := func(rows ...[]condition) {
		if len(rows) > 0 {
			groups = append(groups, rows)
		}
	}
	add(endConditions(f.Local, true)...)
	add(endConditions(f.Remote, false)...)
	add(append(endConditions(f.Either, true), endConditions(f.Either, false)...)...)
	return assemble(groups)
}

func endConditions(list []Endpoint, local bool) (rows [][]condition) {
	addr, least, most := uint8(bcRemoteAddr), uint8(bcRemoteFrom), uint8(bcRemoteTo)
	if local {
		addr, least, most = bcLocalAddr, bcLocalFrom, bcLocalTo
	}
	for _, e := range list {
		var row []condition
		from, to := e.ports()
		if from > 0 {
			row = append(row, condition{least, portOperand(from)})
		}
		if to < math.MaxUint16 {
			row = append(row, condition{most, portOperand(to)})
		}
		if e.Prefix.IsValid() {
			row = append(row, condition{addr, hostCondition(e.Prefix)})
		}
		rows = append(rows, row)
	}
	return rows
}

// portOperand is another inet_diag_bc_op, whose last field is the port.
func portOperand(port uint16) []byte {
	return binary.NativeEndian.AppendUint16([]byte{0, 0}, port)
}

// hostCondition is struct inet_diag_hostcond.
func hostCondition(p netip.Prefix) []byte {
	b := []byte{afInet, uint8(p.Bits()), 0, 0}
	if p.Addr().Is6() {
		b[0] = afInet6
	}
	b = binary.NativeEndian.AppendUint32(b, math.MaxUint32) // any port
	return append(b, p.Masked().Addr().AsSlice()...)
}

// assemble lays the conditions out. A condition that holds goes to the next
// operation; one that fails goes to the next row or, in the last row, beyond
// the end of the program, which means no. The last operation of a row jumps to
// the end of its group.
func assemble(groups [][][]condition) []byte {
	size := func(row []condition) (n int) {
		for _, c := range row {
			n += sizeofOp + len(c.data)
		}
		return n + sizeofOp
	}
	total := 0
	for _, rows := range groups {
		for _, row := range rows {
			total += size(row)
		}
	}
	if total == 0 || total > maxBytecode {
		return nil
	}
	code := make([]byte, 0, total)
	op := func(code_, yes uint8, target int) {
		code = append(code, code_, yes)
		code = binary.NativeEndian.AppendUint16(code, uint16(target-(len(code)-2)))
	}
	for _, rows := range groups {
		end := len(code)
		for _, row := range rows {
			end += size(row)
		}
		for i, row := range rows {
			fail := len(code) + size(row)
			if i == len(rows)-1 {
				fail = total + 4
			}
			for _, c := range row {
				op(c.code, uint8(sizeofOp+len(c.data)), fail)
				code = append(code, c.data...)
			}
			op(bcJump, sizeofOp, end)
		}
	}
	return code
}
