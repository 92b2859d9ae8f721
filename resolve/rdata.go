package resolve

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
)

// minRecord is the shortest record: root name, type, class, TTL, data length.
const minRecord = 11

// records reads n records. An OPT among the additional ones goes to m.
func (d *decoder) records(n int, m *message) []Record {
	// The count is the sender's word: allocate no more than can be there.
	room := min(n, (len(d.msg)-d.off)/minRecord)
	if room == 0 && n == 0 {
		return nil
	}
	list := make([]Record, 0, room)
	for range n {
		r, opt := d.record(m)
		if d.defect != nil {
			break
		}
		if !opt {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func (d *decoder) record(m *message) (r Record, opt bool) {
	r.Name = d.name()
	r.Type, r.Class, r.TTL = Type(d.uint16()), Class(d.uint16()), d.uint32()
	length := int(d.uint16())
	if d.defect != nil {
		return r, false
	}
	if len(d.msg)-d.off < length {
		d.fail("the record's data runs over the end of the message")
		return r, false
	}
	d.end = d.off + length
	if r.Type == TypeOPT && d.section == SectionAdditional {
		d.opt(r, m)
		opt = true
	} else {
		r.Data = d.data(r.Type, r.Class)
	}
	if d.defect == nil && d.off != d.end {
		d.fail("the record's data is too long")
	}
	d.end = 0
	return r, opt
}

// data reads the data of one record. The types of RFC 1035 have one form in all
// classes, except A.
func (d *decoder) data(t Type, c Class) Data {
	switch t {
	case TypeNS:
		return NS{d.name()}
	case TypeCNAME:
		return CNAME{d.name()}
	case TypePTR:
		return PTR{d.name()}
	case TypeMX:
		return MX{d.uint16(), d.name()}
	case TypeSOA:
		return SOA{d.name(), d.name(), d.uint32(), d.uint32(), d.uint32(), d.uint32(), d.uint32()}
	case TypeTXT:
		return d.txt()
	}
	if c == ClassIN {
		switch t {
		case TypeA:
			if b := d.take(4); b != nil {
				return A{netip.AddrFrom4([4]byte(b))}
			}
			return nil
		case TypeAAAA:
			if b := d.take(16); b != nil {
				return AAAA{netip.AddrFrom16([16]byte(b))}
			}
			return nil
		case TypeSRV:
			return SRV{d.uint16(), d.uint16(), d.uint16(), d.name()}
		case TypeCAA:
			return d.caa()
		case TypeSVCB, TypeHTTPS:
			return d.svcb()
		}
	}
	return Raw(d.take(d.end - d.off))
}

// text reads a character string (RFC 1035 section 3.3).
func (d *decoder) text() []byte { return d.take(int(d.uint8())) }

func (d *decoder) txt() TXT {
	var t TXT
	for first := true; first || d.off < d.end; first = false {
		b := d.text()
		if d.defect != nil {
			break
		}
		t.Strings = append(t.Strings, escapeString(b))
	}
	return t
}

func (d *decoder) caa() CAA {
	flags := d.uint8()
	tag := d.text()
	value := d.take(d.end - d.off)
	return CAA{flags, escapeString(tag), escapeString(value)}
}

func (d *decoder) svcb() SVCB {
	s := SVCB{Priority: d.uint16(), Target: d.name()}
	for last := -1; d.defect == nil && d.off < d.end; {
		key := d.uint16()
		value := d.take(int(d.uint16()))
		if d.defect != nil {
			break
		}
		if int(key) <= last {
			d.fail("service parameters out of order")
			break
		}
		last = int(key)
		text, ok := svcValue(key, value)
		if !ok {
			d.fail("the value of service parameter " + svcKey(key) + " has not its form")
			break
		}
		s.Params = append(s.Params, SVCParam{Key: key, Name: svcKey(key), Value: text})
	}
	return s
}

var svcNames = []string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"}

func svcKey(k uint16) string {
	if int(k) < len(svcNames) {
		return svcNames[k]
	}
	return "key" + itoa(int(k))
}

// svcValue returns a value as a zone file has it, and whether it is what the
// key asks for (RFC 9460 section 7).
func svcValue(key uint16, b []byte) (string, bool) {
	switch key {
	case svcMandatory:
		return list(b, 2, func(b []byte) string { return svcKey(binary.BigEndian.Uint16(b)) })
	case svcALPN:
		return alpn(b)
	case svcNoALPN:
		return "", len(b) == 0
	case svcPort:
		if len(b) != 2 {
			return "", false
		}
		return itoa(int(binary.BigEndian.Uint16(b))), true
	case svcIPv4Hint:
		return list(b, 4, func(b []byte) string { return netip.AddrFrom4([4]byte(b)).String() })
	case svcIPv6Hint:
		return list(b, 16, func(b []byte) string { return netip.AddrFrom16([16]byte(b)).String() })
	case svcECH:
		return base64.StdEncoding.EncodeToString(b), len(b) > 0
	}
	return escapeString(b), true
}

// list joins elements of size bytes each.
func list(b []byte, size int, text func([]byte) string) (string, bool) {
	if len(b) == 0 || len(b)%size != 0 {
		return "", false
	}
	var parts []string
	for ; len(b) > 0; b = b[size:] {
		parts = append(parts, text(b[:size]))
	}
	return strings.Join(parts, ","), true
}

func alpn(b []byte) (string, bool) {
	var parts []string
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || n >= len(b) {
			return "", false
		}
		// A comma or a backslash within an id is escaped twice (RFC 9460 appendix A.1).
		id := strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(string(b[1 : 1+n]))
		parts = append(parts, escapeString([]byte(id)))
		b = b[1+n:]
	}
	return strings.Join(parts, ","), len(parts) > 0
}

// EDNS option codes (IANA).
const (
	optNSID = 3
	optEDE  = 15
)

// opt reads an OPT record (RFC 6891 section 6.1): its fields are packed into
// those of any record.
func (d *decoder) opt(r Record, m *message) {
	if m.opt != nil {
		d.fail("a second OPT record")
		return
	}
	if r.Name != "." {
		d.fail("an OPT record with a name")
		return
	}
	o := &OPT{UDPSize: uint16(r.Class), Version: uint8(r.TTL >> 16), DNSSEC: r.TTL&(1<<15) != 0}
	m.rcode |= RCode(r.TTL>>24) << 4
	for d.defect == nil && d.off < d.end {
		code := d.uint16()
		value := d.take(int(d.uint16()))
		if d.defect != nil {
			return
		}
		switch code {
		case optNSID:
			o.NSID = escapeString(value)
		case optEDE:
			if len(value) < 2 {
				d.fail("an extended error without a code")
				return
			}
			info := binary.BigEndian.Uint16(value)
			// A final NUL is not part of the text (RFC 8914 section 2).
			text := strings.TrimRight(string(value[2:]), "\x00")
			m.ede = append(m.ede, ExtendedError{info, edeName(info), escapeString([]byte(text))})
		}
	}
	m.opt = o
}
