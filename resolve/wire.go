package resolve

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/dns/dnsmessage"
)

// udpSize is the size that queries advertise: what fits through any path
// without fragments (DNS flag day 2020).
const udpSize = 1232

// headerLen is the length of a message header.
const headerLen = 12

// appendQuery appends a query for a name in its form on the wire.
func appendQuery(dst []byte, id uint16, name []byte, q Question, edns, recurse bool) ([]byte, error) {
	start := len(dst)
	b := dnsmessage.NewBuilder(dst, dnsmessage.Header{ID: id, RecursionDesired: recurse})
	if err := b.StartQuestions(); err != nil {
		return dst, err
	}
	// The builder cannot pack a label with a dot in it. So it is given a name
	// of the same shape, which is then overwritten.
	var n dnsmessage.Name
	shape(&n, name)
	question := dnsmessage.Question{Name: n, Type: dnsmessage.Type(q.typ()), Class: dnsmessage.Class(q.class())}
	if err := b.Question(question); err != nil {
		return dst, err
	}
	if edns {
		if err := b.StartAdditionals(); err != nil {
			return dst, err
		}
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false); err != nil {
			return dst, err
		}
		if err := b.OPTResource(h, dnsmessage.OPTResource{}); err != nil {
			return dst, err
		}
	}
	msg, err := b.Finish()
	if err != nil {
		return dst, err
	}
	copy(msg[start+headerLen:], name)
	return msg, nil
}

// shape fills n with labels of the same lengths as those of a valid wire name.
func shape(n *dnsmessage.Name, wire []byte) {
	if len(wire) == 1 {
		n.Data[0], n.Length = '.', 1
		return
	}
	i := 0
	for wire[0] != 0 {
		l := int(wire[0])
		for range l {
			n.Data[i] = 'x'
			i++
		}
		n.Data[i] = '.'
		i++
		wire = wire[1+l:]
	}
	n.Length = uint8(i)
}

// header is a message header (RFC 1035 section 4.1.1).
type header struct {
	id, bits uint16
	counts   [4]int // per section, from the question on
}

func (h header) response() bool      { return h.bits&(1<<15) != 0 }
func (h header) authoritative() bool { return h.bits&(1<<10) != 0 }
func (h header) truncated() bool     { return h.bits&(1<<9) != 0 }
func (h header) recurse() bool       { return h.bits&(1<<8) != 0 }
func (h header) available() bool     { return h.bits&(1<<7) != 0 }
func (h header) authentic() bool     { return h.bits&(1<<5) != 0 }
func (h header) noCheck() bool       { return h.bits&(1<<4) != 0 }
func (h header) rcode() RCode        { return RCode(h.bits & 15) }

func parseHeader(msg []byte) (h header, ok bool) {
	if len(msg) < headerLen {
		return h, false
	}
	h.id, h.bits = binary.BigEndian.Uint16(msg), binary.BigEndian.Uint16(msg[2:])
	for i := range h.counts {
		h.counts[i] = int(binary.BigEndian.Uint16(msg[4+2*i:]))
	}
	return h, true
}

// message is a decoded reply. What came before a defect is kept.
type message struct {
	header
	rcode      RCode // with the upper bits of EDNS
	answers    []Record
	authority  []Record
	additional []Record
	opt        *OPT
	ede        []ExtendedError
	defect     *Defect
}

// parseMessage decodes a whole message. That it stops somewhere is in the
// message's defect.
func parseMessage(msg []byte) message {
	d := decoder{msg: msg}
	h, ok := parseHeader(msg)
	m := message{header: h, rcode: h.rcode()}
	if !ok {
		d.off = len(msg)
		d.fail("shorter than a header")
		m.defect = d.defect
		return m
	}
	d.off = headerLen
	d.section = SectionQuestion
	for range h.counts[0] {
		if d.name(); d.defect == nil {
			d.skip(4)
		}
		if d.defect != nil {
			break
		}
	}
	for i, list := range []*[]Record{&m.answers, &m.authority, &m.additional} {
		if d.defect != nil {
			break
		}
		d.section = SectionAnswer + Section(i)
		*list = d.records(h.counts[1+i], &m)
	}
	if d.defect == nil && d.off < len(msg) {
		d.section = SectionTrailer
		d.fail(fmt.Sprintf("%d bytes behind the last record", len(msg)-d.off))
	}
	m.defect = d.defect
	return m
}

// question compares the first question with name, in its form on the wire, and
// q. Not ok means that there is no question that can be read.
func parseQuestion(msg, name []byte, q Question) (same, ok bool) {
	d := decoder{msg: msg, off: headerLen, section: SectionQuestion}
	var buf [maxName]byte
	n := d.wireName(&buf)
	typ, class := d.uint16(), d.uint16()
	if d.defect != nil {
		return false, false
	}
	return equalFold(buf[:n], name) && Type(typ) == q.typ() && Class(class) == q.class(), true
}

// equalFold compares names on the wire. Length bytes are below 64, so none of
// them is taken for a letter.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// decoder walks over a message. The first defect ends it: everything read after
// that is zero.
type decoder struct {
	msg     []byte
	off     int
	end     int // of the data of the current record; 0: of the message
	section Section
	defect  *Defect
	names   [8]knownName
	known   int
}

// knownName saves decoding the name behind a pointer once more.
type knownName struct {
	off  int
	text string
}

func (d *decoder) fail(reason string) {
	if d.defect == nil {
		d.defect = &Defect{Section: d.section, Offset: d.off, Reason: reason}
	}
}

func (d *decoder) limit() int {
	if d.end != 0 {
		return d.end
	}
	return len(d.msg)
}

// take returns the next n bytes, or nil.
func (d *decoder) take(n int) []byte {
	if d.defect != nil {
		return nil
	}
	if d.limit()-d.off < n {
		if d.end != 0 {
			d.fail("the record's data is too short")
		} else {
			d.fail("the message ends here")
		}
		return nil
	}
	d.off += n
	return d.msg[d.off-n : d.off]
}

func (d *decoder) skip(n int) { d.take(n) }

func (d *decoder) uint8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// name reads a name as text.
func (d *decoder) name() string {
	at := d.off
	if at+1 < d.limit() && d.msg[at]&0xc0 == 0xc0 {
		at = int(d.msg[at]&0x3f)<<8 | int(d.msg[at+1])
		for _, k := range d.names[:d.known] {
			if k.off == at && d.defect == nil {
				d.off += 2
				return k.text
			}
		}
	}
	var buf [maxName]byte
	n := d.wireName(&buf)
	if d.defect != nil {
		return ""
	}
	text := nameText(buf[:n])
	if d.known < len(d.names) {
		d.names[d.known] = knownName{at, text}
		d.known++
	}
	return text
}

// wireName reads a name into buf, without compression, and returns its length.
// Pointers have to lead backwards, so that there is no loop.
func (d *decoder) wireName(buf *[maxName]byte) (n int) {
	pos, jumped := d.off, false
	floor := d.off // a pointer has to lead to before this
	for d.defect == nil {
		limit := len(d.msg)
		if !jumped {
			limit = d.limit()
		}
		if pos >= limit {
			d.fail("the name runs over the end")
			break
		}
		c := int(d.msg[pos])
		switch c & 0xc0 {
		case 0:
			switch {
			case pos+1+c > limit:
				d.fail("the name runs over the end")
			case n+1+c > maxName || c != 0 && n+2+c > maxName:
				d.fail("the name is longer than 255 bytes")
			}
			if d.defect != nil {
				return 0
			}
			n += copy(buf[n:], d.msg[pos:pos+1+c])
			pos += 1 + c
			if c == 0 {
				if !jumped {
					d.off = pos
				}
				return n
			}
		case 0xc0:
			if pos+2 > limit {
				d.fail("the compression pointer is cut")
				break
			}
			to := (c&0x3f)<<8 | int(d.msg[pos+1])
			if to >= floor || to < headerLen {
				d.fail("a compression pointer that does not lead back")
				break
			}
			if !jumped {
				d.off, jumped = pos+2, true
			}
			pos, floor = to, to
		default:
			d.fail("a label of a reserved kind")
		}
	}
	return 0
}
