package ping

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// IPTimestamp asks the routers of an IPv4 path for their time (the Internet
// timestamp option of RFC 791); ping -T.
type IPTimestamp uint8

// The kinds of request.
const (
	IPTimestampNone     IPTimestamp = iota
	IPTimestampOnly                 // "tsonly": up to 9 times
	IPTimestampAndAddrs             // "tsandaddr": up to 4 times with the addresses that gave them
	IPTimestampPrespec              // "tsprespec": the times of [Options.IPTimestampHops], as far as they are passed in that order
)

var ipTimestampNames = []string{"none", "tsonly", "tsandaddr", "tsprespec"}

// String returns the word, such as "tsonly".
func (t IPTimestamp) String() string { return enum.String(ipTimestampNames, "ip_timestamp", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t IPTimestamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *IPTimestamp) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[IPTimestamp](ipTimestampNames, "ip_timestamp", b)
	return err
}

// Record is what the IPv4 options of a reply have gathered on the way there
// and back.
type Record struct {
	Route  []netip.Addr `json:"route,omitzero"`  // the addresses through which the packet left each router
	Stamps []IPStamp    `json:"stamps,omitzero"` // the routers' times
	Missed int          `json:"missed,omitzero"` // routers that found no room for their time, at most 15 are counted
}

// IPStamp is one time of the Internet timestamp option.
type IPStamp struct {
	Addr     netip.Addr    `json:"addr,omitzero"`        // with IPTimestampAndAddrs and IPTimestampPrespec
	Midnight time.Duration `json:"since_midnight_ns"`    // since midnight UT, to the millisecond
	Odd      bool          `json:"nonstandard,omitzero"` // the router says that it is some other time
}

// Numbers of IPv4 options (RFC 791).
const (
	optEnd         = 0
	optNop         = 1
	optRecordRoute = 7
	optTimestamp   = 68

	maxOptions   = 40
	maxStampHops = 4
)

// ipOptions builds the options of a request.
func (o *Options) ipOptions() []byte {
	var b []byte
	if o.RecordRoute {
		b = append(b, optNop, optRecordRoute, 3+9*4, 4)
	}
	switch o.IPTimestamp {
	case IPTimestampOnly:
		b = append(b, optTimestamp, 4+9*4, 5, 0)
	case IPTimestampAndAddrs:
		b = append(b, optTimestamp, 4+4*8, 5, 1)
	case IPTimestampPrespec:
		b = append(b, optTimestamp, 4+byte(len(o.IPTimestampHops))*8, 5, 3)
		for _, a := range o.IPTimestampHops {
			b = append(append(b, a.Unmap().AsSlice()...), 0, 0, 0, 0)
		}
		return b
	}
	if b == nil {
		return nil
	}
	n := maxOptions
	if o.IPTimestamp == IPTimestampAndAddrs {
		n = 36
	}
	return append(b, make([]byte, n-len(b))...)
}

// checkStamps checks what is asked of the timestamp option.
func (o *Options) checkStamps() error {
	switch n := len(o.IPTimestampHops); {
	case o.RecordRoute && o.IPTimestamp != IPTimestampNone:
		return errors.New("record route and timestamps do not fit into one packet")
	case o.IPTimestamp > IPTimestampPrespec:
		return fmt.Errorf("unknown kind of timestamp %v", o.IPTimestamp)
	case o.IPTimestamp == IPTimestampPrespec && (n == 0 || n > maxStampHops):
		return fmt.Errorf("timestamps of %d given hops instead of 1 to %d", n, maxStampHops)
	case o.IPTimestamp != IPTimestampPrespec && n > 0:
		return errors.New("hops for timestamps, but no timestamps of given hops")
	}
	for _, a := range o.IPTimestampHops {
		if !a.Unmap().Is4() {
			return fmt.Errorf("a hop for timestamps is %v, no IPv4 address", a)
		}
	}
	return nil
}

// parseIPOptions reads the options of a reply; nil means that there is nothing
// recorded. What is malformed ends the reading.
func parseIPOptions(b []byte) *Record {
	var r Record
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optNop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1]) < 2 || int(b[1]) > len(b) {
			break
		}
		switch opt := b[:b[1]]; opt[0] {
		case optRecordRoute:
			// The pointer counts from 1 and stands behind what is filled in.
			if len(opt) >= 3 {
				for a := range slices.Chunk(opt[3:max(3, min(len(opt), int(opt[2])-1))], 4) {
					if len(a) == 4 {
						r.Route = append(r.Route, netip.AddrFrom4([4]byte(a)))
					}
				}
			}
		case optTimestamp:
			if len(opt) >= 4 {
				r.stamps(opt)
			}
		}
		b = b[b[1]:]
	}
	if r.Route == nil && r.Stamps == nil {
		return nil
	}
	return &r
}

func (r *Record) stamps(opt []byte) {
	r.Missed = int(opt[3] >> 4)
	withAddr := opt[3]&15 != 0
	size := 4
	if withAddr {
		size = 8
	}
	for c := range slices.Chunk(opt[4:max(4, min(len(opt), int(opt[2])-1))], size) {
		if len(c) < size {
			return
		}
		var s IPStamp
		if withAddr {
			s.Addr = netip.AddrFrom4([4]byte(c))
		}
		ms := binary.BigEndian.Uint32(c[size-4:])
		s.Odd = ms>>31 == 1
		s.Midnight = time.Duration(ms&0x7fffffff) * time.Millisecond
		r.Stamps = append(r.Stamps, s)
	}
}
