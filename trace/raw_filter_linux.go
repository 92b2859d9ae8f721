package trace

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	packet "github.com/netsonde/netsonde/internal/wire"
)

// attach has the kernel drop what a program (BPF, socket(7)) does not let in.
func attach(fd int, p []unix.SockFilter) error {
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(p)), Filter: unsafe.SliceData(p)})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// filterTypes drops ICMP messages of other types, which costs the kernel less
// than a program: it is done before the packet is copied (raw(7), ICMP_FILTER).
func filterTypes(fd int, v6 bool) error {
	if v6 {
		f := unix.ICMPv6Filter{}
		for i := range f.Data {
			f.Data[i] = 0xffffffff
		}
		for _, t := range []uint{1, 2, 3, 4, packet.ICMPv6EchoReply} {
			f.Data[t>>5] &^= 1 << (t & 31)
		}
		return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
	}
	const icmpFilter = 1 // linux/icmp.h
	return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1<<packet.ICMPEchoReply | 1<<3 | 1<<11 | 1<<12))
}

// program is a BPF program under construction; jumps go to places by name.
type program struct {
	code  []unix.SockFilter
	jumps map[int][2]string // by instruction: where to if true, and if not
	place map[string]int
}

func (p *program) add(code uint16, k uint32) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: k})
}

// jeq compares with k. The empty name is the next instruction.
func (p *program) jeq(k uint32, yes, no string) {
	p.jumps[len(p.code)] = [2]string{yes, no}
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k)
}

func (p *program) mark(name string) { p.place[name] = len(p.code) }

// done ends the program and resolves the jumps.
func (p *program) done() []unix.SockFilter {
	p.mark("drop")
	p.add(unix.BPF_RET|unix.BPF_K, 0)
	p.mark("take")
	p.add(unix.BPF_RET|unix.BPF_K, 1<<18)
	for at, names := range p.jumps {
		var to [2]uint8
		for i, name := range names {
			if name != "" {
				to[i] = uint8(p.place[name] - at - 1)
			}
		}
		p.code[at].Jt, p.code[at].Jf = to[0], to[1]
	}
	return p.code
}

func newProgram() *program {
	return &program{jumps: map[int][2]string{}, place: map[string]int{}}
}

// Loads relative to register X.
const (
	loadByte = unix.BPF_LD | unix.BPF_B | unix.BPF_IND
	loadHalf = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
)

// filterICMP lets in echo replies to this engine and errors that quote a packet
// of it. A program sees IPv4 packets from their header on, and of IPv6 the
// ICMPv6 message. A load behind the end drops the packet.
func (p *rawPorts) filterICMP(v6 bool) []unix.SockFilter {
	g := newProgram()
	reply, echo := uint32(packet.ICMPEchoReply), uint32(packet.ProtoICMP)
	if v6 {
		reply, echo = packet.ICMPv6EchoReply, packet.ProtoICMPv6
		g.add(unix.BPF_LDX|unix.BPF_IMM, 0)
	} else {
		g.add(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, 0) // X: length of the IPv4 header
	}
	g.add(loadByte, 0)
	g.jeq(reply, "echo", "")
	if v6 {
		g.add(loadByte, 8+6)                   // next header of the quoted packet
		g.add(unix.BPF_LDX|unix.BPF_IMM, 8+40) // X: its transport header
	} else {
		g.add(loadByte, 8+9) // protocol of the quoted packet
		g.add(unix.BPF_ST, 0)
		g.add(loadByte, 8)
		g.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 15)
		g.add(unix.BPF_ALU|unix.BPF_LSH|unix.BPF_K, 2)
		g.add(unix.BPF_ALU|unix.BPF_ADD|unix.BPF_X, 0)
		g.add(unix.BPF_ALU|unix.BPF_ADD|unix.BPF_K, 8)
		g.add(unix.BPF_MISC|unix.BPF_TAX, 0) // X: its transport header
		g.add(unix.BPF_LD|unix.BPF_MEM, 0)
	}
	g.jeq(packet.ProtoUDP, "udp", "")
	g.jeq(packet.ProtoTCP, "tcp", "")
	g.jeq(echo, "echo", "drop")
	g.mark("udp")
	g.add(loadHalf, 0)
	g.jeq(uint32(p.udp), "take", "drop")
	g.mark("tcp")
	g.add(loadHalf, 0)
	g.jeq(uint32(p.tcp), "take", "drop")
	g.mark("echo")
	g.add(loadHalf, 4)
	g.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, rawEchoMask)
	g.jeq(uint32(p.echo), "take", "drop")
	return g.done()
}

// filterTCP lets in segments to this engine's port that answer a SYN.
func (p *rawPorts) filterTCP(v6 bool) []unix.SockFilter {
	g := newProgram()
	if v6 {
		g.add(unix.BPF_LDX|unix.BPF_IMM, 0)
	} else {
		g.add(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, 0)
	}
	g.add(loadHalf, 2)
	g.jeq(uint32(p.tcp), "", "drop")
	g.add(loadByte, 13)
	g.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, packet.SYN|packet.RST)
	g.jeq(0, "drop", "take")
	return g.done()
}
