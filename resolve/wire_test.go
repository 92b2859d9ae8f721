package resolve

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// rawMessage is a reply to "q. A" with answers whose data are given as bytes.
func rawMessage(records ...rawRecord) []byte {
	b := []byte{0, 1, 0x81, 0x80, 0, 1, 0, byte(len(records)), 0, 0, 0, 0, 1, 'q', 0, 0, 1, 0, 1}
	for _, r := range records {
		class := r.class
		if class == 0 {
			class = ClassIN
		}
		b = append(b, 0xc0, headerLen)
		b = binary.BigEndian.AppendUint16(b, uint16(r.typ))
		b = binary.BigEndian.AppendUint16(b, uint16(class))
		b = append(b, 0, 0, 0, 60)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.data)))
		b = append(b, r.data...)
	}
	return b
}

type rawRecord struct {
	typ   Type
	class Class
	data  string
}

// Texts of data are compared with those of dig 9.18 by TestAgainstDig;
// here is what no server would load.
var dataTexts = []struct {
	r    rawRecord
	want string
}{
	{rawRecord{typ: TypeA, data: "\xc0\x00\x02\x01"}, "192.0.2.1"},
	{rawRecord{typ: TypeA, class: ClassCH, data: "\x00\x01\x02"}, `\# 3 000102`},
	{rawRecord{typ: TypeAAAA, data: "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01"}, "2001:db8::1"},
	{rawRecord{typ: TypeAAAA, data: strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01"}, "::ffff:192.0.2.1"},
	{rawRecord{typ: TypeNS, data: "\x00"}, "."},
	{rawRecord{typ: TypePTR, data: "\x04a.b\x1b\xc0\x0c"}, `a\.b\027.q.`},
	{rawRecord{typ: TypeCNAME, data: "\x06\"();@$\x02\\ \x02\x80\xff\x00"}, `\"\(\)\;\@\$.\\\032.\128\255.`},
	{rawRecord{typ: TypeMX, data: "\x00\x00\x00"}, "0 ."},
	{rawRecord{typ: TypeTXT, data: "\x00\x05a\"\\\n\xe9\x01;"}, `"" "a\"\\\010\233" ";"`},
	{rawRecord{typ: TypeTXT, class: ClassCH, data: "\x01x"}, `"x"`},
	{rawRecord{typ: TypeSRV, data: "\x00\x01\x00\x02\x1f\x90\xc0\x0c"}, "1 2 8080 q."},
	{rawRecord{typ: TypeCAA, data: "\x80\x05issueca\"x"}, `128 issue "ca\"x"`},
	{rawRecord{typ: TypeSOA, data: "\xc0\x0c\x03a.b\x00" + strings.Repeat("\xff", 20)}, `q. a\.b. 4294967295 4294967295 4294967295 4294967295 4294967295`},
	{rawRecord{typ: TypeHTTPS, data: "\x00\x00\x01t\x00"}, "0 t."},
	{rawRecord{typ: TypeSVCB, data: "\x00\x01\x00\x00\x00\x00\x02\x00\x01\x00\x01\x00\x08\x02h2\x04a,\\b\x00\x02\x00\x00\x00\x03\x00\x02\x01\xbb\xff\xfe\x00\x02 \x00"},
		`1 . mandatory=alpn alpn="h2,a\\,\\\\b" no-default-alpn port=443 key65534=" \000"`},
	{rawRecord{typ: TypeDS, data: "\x01\x02"}, `\# 2 0102`},
	{rawRecord{typ: 65280, data: ""}, `\# 0`},
}

func TestDataTexts(t *testing.T) {
	for _, c := range dataTexts {
		m := parseMessage(rawMessage(c.r))
		if m.defect != nil || len(m.answers) != 1 {
			t.Errorf("%s %q: %v", c.r.typ, c.r.data, m.defect)
			continue
		}
		r := m.answers[0]
		if got := r.Data.String(); got != c.want {
			t.Errorf("%s %q:\ngot  %s\nwant %s", c.r.typ, c.r.data, got, c.want)
		}
		checkRecord(t, r)
	}
	if got := (TXT{Strings: []string{`v=spf1 `, `\233\"-all`}}).Bytes(); string(got) != "v=spf1 \xe9\"-all" {
		t.Errorf("joined text %q", got)
	}
	r := Record{Name: "q.", Type: TypeMX, Class: ClassIN, TTL: 7, Data: MX{10, "m."}}
	if got := r.String(); got != "q. 7 IN MX 10 m." {
		t.Error(got)
	}
}

// checkRecord checks what holds for every record: its text is printable ASCII,
// and JSON keeps it.
func checkRecord(t *testing.T, r Record) {
	t.Helper()
	text := r.String()
	if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
		t.Fatalf("byte %#x in %q", text[i], text)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if diff := cmp.Diff(r, back, compareAddrs); diff != "" {
		t.Fatalf("JSON %s (-in +out):\n%s", b, diff)
	}
}

func TestDefects(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("x", 63), 4) + "\x00"
	for _, c := range []struct {
		msg  []byte
		want string
	}{
		{nil, "header section, byte 0: shorter than a header"},
		{rawMessage()[:13], "question section, byte 12: the name runs over the end"},
		{rawMessage()[:17], "question section, byte 15: the message ends here"},
		{rawMessage(rawRecord{typ: TypeA, data: "123"}), "answer section, byte 31: the record's data is too short"},
		{rawMessage(rawRecord{typ: TypeA, data: "12345"}), "answer section, byte 35: the record's data is too long"},
		{rawMessage(rawRecord{typ: TypeAAAA, data: "1"}), "answer section, byte 31: the record's data is too short"},
		{rawMessage(rawRecord{typ: TypeNS, data: "\xc0\x1f"}), "answer section, byte 31: a compression pointer that does not lead back"},
		{rawMessage(rawRecord{typ: TypeNS, data: "\xc0\x0b"}), "answer section, byte 31: a compression pointer that does not lead back"},
		{rawMessage(rawRecord{typ: TypeNS, data: "\xc0"}), "answer section, byte 31: the compression pointer is cut"},
		{rawMessage(rawRecord{typ: TypeNS, data: "\x80x"}), "answer section, byte 31: a label of a reserved kind"},
		{rawMessage(rawRecord{typ: TypeNS, data: "\x05x"}), "answer section, byte 31: the name runs over the end"},
		{rawMessage(rawRecord{typ: TypeNS, data: ""}), "answer section, byte 31: the name runs over the end"},
		{rawMessage(rawRecord{typ: TypeNS, data: long}), "answer section, byte 31: the name is longer than 255 bytes"},
		{rawMessage(rawRecord{typ: TypeTXT, data: ""}), "answer section, byte 31: the record's data is too short"},
		{rawMessage(rawRecord{typ: TypeTXT, data: "\x02x"}), "answer section, byte 32: the record's data is too short"},
		{rawMessage(rawRecord{typ: TypeSVCB, data: "\x00\x01\x00\x00\x03\x00\x02\x01\xbb\x00\x03\x00\x00"}), "answer section, byte 44: service parameters out of order"},
		{rawMessage(rawRecord{typ: TypeSVCB, data: "\x00\x01\x00\x00\x03\x00\x01\x01"}), "answer section, byte 39: the value of service parameter port has not its form"},
		{rawMessage(rawRecord{typ: TypeSVCB, data: "\x00\x01\x00\x00\x04\x00\x03abc"}), "answer section, byte 41: the value of service parameter ipv4hint has not its form"},
		{rawMessage(rawRecord{typ: TypeSVCB, data: "\x00\x01\x00\x00\x01\x00\x02\x05h"}), "answer section, byte 40: the value of service parameter alpn has not its form"},
	} {
		m := parseMessage(c.msg)
		got := ""
		if m.defect != nil {
			got = m.defect.String()
		}
		if got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.msg, got, c.want)
		}
	}
}

// TestDefectKeepsWhatCame checks that the records before a defect are there.
func TestDefectKeepsWhatCame(t *testing.T) {
	msg := rawMessage(rawRecord{typ: TypeA, data: "\x01\x02\x03\x04"}, rawRecord{typ: TypeA, data: "12"})
	m := parseMessage(msg)
	if len(m.answers) != 1 || m.defect == nil || m.defect.Offset != 47 {
		t.Errorf("%v, %v", m.answers, m.defect)
	}
}

func TestNames(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.10":         "10.2.0.192.in-addr.arpa.",
		"::ffff:192.0.2.1":   "1.2.0.192.in-addr.arpa.",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
	} {
		if got := ReverseName(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := ReverseName(netip.Addr{}); got != "" {
		t.Error(got)
	}
	if !sameName("A.b", "a.B.") || sameName("a", "b") {
		t.Error("sameName")
	}
}

// FuzzMessage feeds arbitrary bytes to the decoder. What dnsmessage takes has to
// come out the same here, unless there is a reason to refuse it.
func FuzzMessage(f *testing.F) {
	for _, c := range dataTexts {
		f.Add(rawMessage(c.r, c.r))
	}
	a := &asked{Question: dnsmessage.Question{Name: dnsmessage.MustNewName("q."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, raw: rawMessage()}
	for _, c := range faults {
		for _, r := range c.handle(a) {
			f.Add(r.msg)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m := parseMessage(msg)
		for _, list := range [][]Record{m.answers, m.authority, m.additional} {
			for _, r := range list {
				checkRecord(t, r)
			}
		}
		if m.defect != nil && (m.defect.Offset < 0 || m.defect.Offset > len(msg)) {
			t.Errorf("offset %d of %d", m.defect.Offset, len(msg))
		}
		var w dnsmessage.Message
		if w.Unpack(msg) != nil {
			return
		}
		if m.defect != nil && m.defect.Section != SectionTrailer {
			switch m.defect.Reason {
			case "a compression pointer that does not lead back", "the record's data is too short", "the record's data is too long", "the record's data runs over the end of the message",
				"a second OPT record", "an OPT record with a name", "an extended error without a code", "the name runs over the end",
				"the compression pointer is cut", "the name is longer than 255 bytes", "a label of a reserved kind":
			default:
				if !strings.HasPrefix(m.defect.Reason, "the value of service parameter") {
					t.Errorf("refused: %s", m.defect)
				}
			}
			return
		}
		compareWitness(t, m, w)
	})
}

// compareWitness compares records that both decoders know.
func compareWitness(t *testing.T, m message, w dnsmessage.Message) {
	t.Helper()
	opts := 0
	for _, r := range w.Additionals {
		if r.Header.Type == dnsmessage.TypeOPT {
			opts++
		}
	}
	if len(m.answers) != len(w.Answers) || len(m.authority) != len(w.Authorities) || len(m.additional)+opts != len(w.Additionals) {
		t.Fatalf("%d %d %d records, dnsmessage has %d %d %d", len(m.answers), len(m.authority), len(m.additional), len(w.Answers), len(w.Authorities), len(w.Additionals))
	}
	for i, r := range m.answers {
		h := w.Answers[i].Header
		if got := string(appendUnescaped(nil, r.Name)); got != h.Name.String() || r.Type != Type(h.Type) || r.Class != Class(h.Class) || r.TTL != h.TTL {
			t.Fatalf("%v, dnsmessage has %v", r, h)
		}
		name := func(got string, want dnsmessage.Name) {
			if string(appendUnescaped(nil, got)) != want.String() {
				t.Fatalf("%q, dnsmessage has %q", got, want.String())
			}
		}
		switch b := w.Answers[i].Body.(type) {
		case *dnsmessage.AResource:
			if d, ok := r.Data.(A); ok && d.Addr != netip.AddrFrom4(b.A) {
				t.Fatalf("%v, dnsmessage has %v", d, b)
			}
		case *dnsmessage.AAAAResource:
			if d, ok := r.Data.(AAAA); ok && d.Addr != netip.AddrFrom16(b.AAAA) {
				t.Fatalf("%v, dnsmessage has %v", d, b)
			}
		case *dnsmessage.CNAMEResource:
			name(r.Data.(CNAME).Target, b.CNAME)
		case *dnsmessage.MXResource:
			name(r.Data.(MX).Exchange, b.MX)
		case *dnsmessage.SOAResource:
			d := r.Data.(SOA)
			name(d.MName, b.NS)
			name(d.RName, b.MBox)
			if d.Serial != b.Serial || d.Minimum != b.MinTTL {
				t.Fatalf("%v, dnsmessage has %v", d, b)
			}
		case *dnsmessage.TXTResource:
			if got := string(r.Data.(TXT).Bytes()); got != strings.Join(b.TXT, "") {
				t.Fatalf("%q, dnsmessage has %q", got, b.TXT)
			}
		}
	}
}
