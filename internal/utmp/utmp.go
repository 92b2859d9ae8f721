// Package utmp reads the login records of utmp(5): /var/run/utmp, who is
// logged in now, and /var/log/wtmp, every login, logout and boot. Decoding is
// pure and works on every system; [Sessions] pairs logins with their ends as
// last(1) does.
//
// The layout is that of glibc where 32-bit and 64-bit programs share the file,
// x86 and most others: 384 bytes a record with 32-bit times, in the byte order
// of the machine. (glibc on arm64 and riscv64 has 400 bytes.)
package utmp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// Size is the length of a record in bytes.
const Size = 384

// Where the fields are in a record (struct utmp, utmp.h).
const (
	offPID     = 4
	offLine    = 8
	offID      = 40
	offUser    = 44
	offHost    = 76
	offExit    = 332
	offSession = 336
	offTime    = 340
	offAddr    = 348
	offUnused  = 364
)

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
	Offset int    `json:"offset"` // bytes
	Reason string `json:"reason"`
}

// Error tells both.
func (c Corrupt) Error() string { return fmt.Sprintf("no record at byte %d: %s", c.Offset, c.Reason) }

// Parse decodes records in the order of the file. What cannot be one is
// reported and skipped.
func Parse(b []byte) (records []Record, corrupt []Corrupt) {
	for at := 0; at < len(b); at += Size {
		var r Record
		reason := fmt.Sprintf("only %d of %d bytes", len(b)-at, Size)
		if len(b)-at >= Size {
			r, reason = parse(b[at : at+Size])
		}
		if reason != "" {
			corrupt = append(corrupt, Corrupt{Offset: at, Reason: reason})
			continue
		}
		records = append(records, r)
	}
	return records, corrupt
}

// ReadFile is Parse of a file, and when the file was last changed.
func ReadFile(path string) (records []Record, corrupt []Corrupt, changed time.Time, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, changed, err
	}
	if info, err := os.Stat(path); err == nil {
		changed = info.ModTime()
	}
	records, corrupt = Parse(b)
	return records, corrupt, changed, nil
}

// parse decodes one record, or says why it is none.
func parse(b []byte) (r Record, reason string) {
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	typ := int16(binary.NativeEndian.Uint16(b))
	usec := int32(u32(offTime + 4))
	switch {
	case typ < 0 || int(typ) >= len(typeNames):
		return r, fmt.Sprintf("type %d", typ)
	case usec < 0 || usec > 999999:
		return r, fmt.Sprintf("%d microseconds", usec)
	}
	return Record{
		Type:        Type(typ),
		PID:         int32(u32(offPID)),
		Line:        text(b[offLine:offID]),
		ID:          text(b[offID:offUser]),
		User:        text(b[offUser:offHost]),
		Host:        text(b[offHost:offExit]),
		Addr:        address(b[offAddr:offUnused]),
		Termination: int16(binary.NativeEndian.Uint16(b[offExit:])),
		Exit:        int16(binary.NativeEndian.Uint16(b[offExit+2:])),
		Session:     int32(u32(offSession)),
		Time:        time.Unix(int64(int32(u32(offTime))), int64(usec)*1000),
	}, ""
}

// Append appends the record as it stands in a file. Text that is too long is cut.
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
	put(offTime, int32(r.Time.Unix()))
	put(offTime+4, int32(r.Time.Nanosecond()/1000))
	copy(rec[offAddr:offUnused], r.Addr.AsSlice())
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
	case bytes.Equal(b, make([]byte, 16)):
		return netip.Addr{}
	case bytes.Equal(b[4:], make([]byte, 12)):
		return netip.AddrFrom4([4]byte(b))
	}
	return a
}
