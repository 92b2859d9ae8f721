// Package utmp reads the login records of utmp(5): /var/run/utmp, who is
// logged in now, and /var/log/wtmp, every login, logout and boot. [File] reads
// them from either end in constant memory; decoding is pure and works on every
// system. [Sessions] pairs logins with their ends as last(1) does.
//
// There are two layouts of glibc, in the byte order of the machine, and a file
// shows which one it has. Where 32-bit and 64-bit programs share files, as on
// x86, a record has 384 bytes and 32-bit times, which are taken to be unsigned,
// as glibc has them since 2.40: they end in 2106. Elsewhere, as on arm64 and
// riscv64, it has 400 bytes and 64-bit times.
package utmp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// Size is the length in bytes of the records that [Record.Append] writes.
const Size = 384

// Where the fields are in a record (struct utmp, utmp.h), in both layouts.
const (
	offPID     = 4
	offLine    = 8
	offID      = 40
	offUser    = 44
	offHost    = 76
	offExit    = 332
	offSession = 336
)

// layout is where the other fields are.
type layout struct {
	size, time, addr, unused int
	wide                     bool // numbers of time have 64 bits
}

var (
	compact = layout{size: Size, time: 340, addr: 348, unused: 364}
	wide    = layout{size: 400, time: 344, addr: 360, unused: 376, wide: true}
)

// sizeofUnused is the length of what is reserved in a record, behind the address.
const sizeofUnused = 20

// lastSecond is the last one that has a date with four digits for the year.
const lastSecond = 253402300799

// Type is what a record is about (ut_type).
type Type uint8

// The types.
const (
	Empty        Type = iota
	RunLevel          // of init changed
	BootTime          // the system was started
	NewTime           // the clock was set, to this
	OldTime           // the clock was set, from this
	InitProcess       // started by init
	LoginProcess      // waits for somebody to log in
	UserProcess       // somebody is logged in
	DeadProcess       // it has ended: a logout
	Accounting
)

var typeNames = []string{
	"empty", "run_lvl", "boot_time", "new_time", "old_time", "init_process", "login_process", "user_process", "dead_process", "accounting",
}

// String returns the word of utmp.h in lower case.
func (t Type) String() string { return enum.String(typeNames, "type", t) }

// MarshalText implements encoding.TextMarshaler.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[Type](typeNames, "type", b)
	return err
}

// Record is a record of utmp or wtmp. Its text is what some program wrote and
// must be escaped before it is printed.
type Record struct {
	Type        Type       `json:"type"`
	PID         int32      `json:"pid"` // of RunLevel the new level in the lower byte, the old one in the next
	Line        string     `json:"line,omitzero"`
	ID          string     `json:"id,omitzero"`
	User        string     `json:"user,omitzero"`
	Host        string     `json:"host,omitzero"` // of BootTime and RunLevel the version of the kernel
	Addr        netip.Addr `json:"addr,omitzero"` // of Host; invalid: none was written
	Termination int16      `json:"termination,omitzero"`
	Exit        int16      `json:"exit,omitzero"`
	Session     int32      `json:"session,omitzero"`
	Time        time.Time  `json:"time"` // microseconds count
}

// Corrupt is a stretch of a file that is no record.
type Corrupt struct {
	Offset int64  `json:"offset"` // bytes
	Length int64  `json:"length"` // bytes
	Reason string `json:"reason"`
}

// Error tells all three.
func (c Corrupt) Error() string {
	return fmt.Sprintf("no record in the %d bytes at %d: %s", c.Length, c.Offset, c.Reason)
}

// stamp reads the time of a record.
func (l *layout) stamp(b []byte) (sec, usec int64) {
	if l.wide {
		return int64(binary.NativeEndian.Uint64(b[l.time:])), int64(binary.NativeEndian.Uint64(b[l.time+8:]))
	}
	return int64(binary.NativeEndian.Uint32(b[l.time:])), int64(int32(binary.NativeEndian.Uint32(b[l.time+4:])))
}

// parse decodes one record, or says why it is none.
func (l *layout) parse(b []byte) (r Record, reason string) {
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	typ := int16(binary.NativeEndian.Uint16(b))
	sec, usec := l.stamp(b)
	switch {
	case typ < 0 || int(typ) >= len(typeNames):
		return r, fmt.Sprintf("type %d", typ)
	case usec < 0 || usec > 999999:
		return r, fmt.Sprintf("%d microseconds", usec)
	case sec < 0 || sec > lastSecond:
		return r, fmt.Sprintf("%d seconds", sec)
	case Type(typ) == Empty && !l.strict(b):
		return r, "an empty record that is not empty"
	}
	session := u32(offSession)
	if l.wide {
		session = uint32(binary.NativeEndian.Uint64(b[offSession:]))
	}
	return Record{
		Type:        Type(typ),
		PID:         int32(u32(offPID)),
		Line:        text(b[offLine:offID]),
		ID:          text(b[offID:offUser]),
		User:        text(b[offUser:offHost]),
		Host:        text(b[offHost:offExit]),
		Addr:        address(b[l.addr : l.addr+16]),
		Termination: int16(binary.NativeEndian.Uint16(b[offExit:])),
		Exit:        int16(binary.NativeEndian.Uint16(b[offExit+2:])),
		Session:     int32(session),
		Time:        time.Unix(sec, usec*1000),
	}, ""
}

// strict reports whether all that must be zero in a record is, which is hardly
// so in bytes that begin in the middle of one.
func (l *layout) strict(b []byte) bool {
	sec, _ := l.stamp(b)
	return b[2] == 0 && b[3] == 0 && zero(b[l.unused:l.unused+sizeofUnused]) && (sec != 0 || zero(b))
}

// likely reports whether a record can begin here, at a glance. An empty one is
// not: what is mostly zero can be read as such anywhere.
func likely(b []byte) bool {
	typ := int16(binary.NativeEndian.Uint16(b))
	return typ > 0 && int(typ) < len(typeNames) && b[2] == 0 && b[3] == 0
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Append appends the record as it stands in a file of [Size] bytes a record.
// Text that is too long is cut.
func (r Record) Append(b []byte) []byte {
	var rec [Size]byte
	put := func(at int, v int32) { binary.NativeEndian.PutUint32(rec[at:], uint32(v)) }
	binary.NativeEndian.PutUint16(rec[:], uint16(r.Type))
	put(offPID, r.PID)
	copy(rec[offLine:offID], r.Line)
	copy(rec[offID:offUser], r.ID)
	copy(rec[offUser:offHost], r.User)
	copy(rec[offHost:offExit], r.Host)
	binary.NativeEndian.PutUint16(rec[offExit:], uint16(r.Termination))
	binary.NativeEndian.PutUint16(rec[offExit+2:], uint16(r.Exit))
	put(offSession, r.Session)
	put(compact.time, int32(uint32(r.Time.Unix())))
	put(compact.time+4, int32(r.Time.Nanosecond()/1000))
	copy(rec[compact.addr:compact.unused], r.Addr.AsSlice())
	return append(b, rec[:]...)
}

// text returns what is in front of the first zero byte.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// address returns the address in ut_addr_v6: IPv4 has zeros behind it.
func address(b []byte) netip.Addr {
	a := netip.AddrFrom16([16]byte(b)).Unmap()
	switch {
	case a.Is4():
		return a
	case zero(b):
		return netip.Addr{}
	case zero(b[4:]):
		return netip.AddrFrom4([4]byte(b))
	}
	return a
}
