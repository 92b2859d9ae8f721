package lab

import (
	"net"
	"sync"
)

// AnswerICMPv6 makes the host answer ICMPv6 messages of a type that the kernel
// leaves to programs, until the test ends: answer returns the messages to be
// sent back, whose checksums the kernel writes.
func (h *Host) AnswerICMPv6(typ uint8, answer func(msg []byte) [][]byte) {
	h.lab.t.Helper()
	var conn net.PacketConn
	err := h.Do(func() (err error) {
		conn, err = net.ListenPacket("ip6:ipv6-icmp", "::")
		return err
	})
	h.lab.check(err, "%s: raw ICMPv6 socket", h.Name)
	var reader sync.WaitGroup
	reader.Go(func() {
		for buf := make([]byte, 1<<16); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if n == 0 || buf[0] != typ {
				continue
			}
			for _, msg := range answer(append([]byte(nil), buf[:n]...)) {
				conn.WriteTo(msg, from)
			}
		}
	})
	h.lab.t.Cleanup(func() {
		conn.Close()
		reader.Wait()
	})
}
