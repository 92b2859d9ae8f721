package utmp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Unix(1700000000, 0)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

var addresses = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// parseAll reads the records of a file forwards.
func parseAll(b []byte) (records []Record, corrupt []Corrupt) {
	return parseFile(b, (*File).Forward)
}

func parseFile(b []byte, from func(*File, func(Corrupt)) iter.Seq2[Record, error]) (records []Record, corrupt []Corrupt) {
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		panic(err)
	}
	for r, err := range from(f, func(c Corrupt) { corrupt = append(corrupt, c) }) {
		if err != nil {
			panic(err)
		}
		records = append(records, r)
	}
	return records, corrupt
}

// backward are records as they come from the end of a file.
func backward(records []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range slices.Backward(records) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// A record written out byte by byte, after utmp(5).
func TestLayout(t *testing.T) {
	b := make([]byte, Size)
	u16, u32 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32
	u16(b, 7)
	u32(b[4:], 501)
	copy(b[8:], "pts/0")
	copy(b[40:], "ts/0")  // fills its field
	copy(b[44:], "alice") // 32 bytes
	copy(b[76:], "host.example")
	u16(b[332:], 15)
	u16(b[334:], 1)
	u32(b[336:], 77)
	u32(b[340:], 1700000000)
	u32(b[344:], 123456)
	copy(b[348:], []byte{192, 0, 2, 7})
	records, corrupt := parseAll(b)
	want := []Record{{
		Type: UserProcess, PID: 501, Line: "pts/0", ID: "ts/0", User: "alice", Host: "host.example", Termination: 15, Exit: 1,
		Session: 77, Time: time.Unix(1700000000, 123456000), Addr: netip.MustParseAddr("192.0.2.7"),
	}}
	if diff := cmp.Diff(want, records, addresses); diff != "" || corrupt != nil {
		t.Errorf("%v (-want +got):\n%s", corrupt, diff)
	}
	if diff := cmp.Diff(b, records[0].Append(nil)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestAddresses(t *testing.T) {
	for _, text := range []string{"192.0.2.7", "2001:db8::1", "::1", "fe80::1:2"} {
		r := Record{Addr: netip.MustParseAddr(text), Time: start}
		records, _ := parseAll(r.Append(nil))
		if len(records) != 1 || records[0].Addr != r.Addr {
			t.Errorf("%s: %v", text, records)
		}
	}
	mapped := Record{Addr: netip.MustParseAddr("::ffff:192.0.2.7"), Time: start}
	if records, _ := parseAll(mapped.Append(nil)); records[0].Addr != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("mapped: %v", records)
	}
}

func TestCorrupt(t *testing.T) {
	good := Record{Type: UserProcess, User: "a", Line: "tty1", Time: start}
	b := good.Append(nil)
	bad := good.Append(nil)
	binary.NativeEndian.PutUint16(bad, 10)
	b = append(b, bad...)
	binary.NativeEndian.PutUint16(bad, 0x8000)
	b = append(b, bad...)
	bad = good.Append(nil)
	binary.NativeEndian.PutUint32(bad[344:], 1000000)
	b = append(b, bad...)
	b = good.Append(b)
	b = append(b, bad[:100]...)
	records, corrupt := parseAll(b)
	if diff := cmp.Diff([]Record{good, good}, records, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []Corrupt{{384, 1152, "type 10"}, {1920, 100, "only 100 of 384 bytes"}}
	if diff := cmp.Diff(want, corrupt); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if said := corrupt[0].Error(); said != "no record in the 1152 bytes at 384: type 10" {
		t.Errorf("said %s", said)
	}
}

// history is a machine's life, the ends of its logins as last tells them in
// the comments.
var history = []Record{
	{Type: BootTime, Line: "~", User: "reboot", Time: at(0)},                      // until the shutdown at 3000
	{Type: RunLevel, Line: "~", User: "runlevel", PID: 'N'<<8 | '5', Time: at(1)}, // until 3000
	{Type: LoginProcess, Line: "tty1", User: "LOGIN", Time: at(2)},                // not shown
	{Type: UserProcess, Line: "tty1", User: "root", Time: at(10)},                 // crash at 2000
	{Type: UserProcess, Line: "pts/0", User: "ann", Time: at(20)},                 // logout at 30
	{Type: DeadProcess, Line: "pts/0", Time: at(30)},
	{Type: DeadProcess, Line: "", Time: at(31)},
	{Type: UserProcess, Line: "pts/0", User: "bob", Time: at(40)},                    // until the next one, at 50
	{Type: Empty, Line: "pts/0", User: "cid", Time: at(50)},                          // an old program; logout at 60
	{Type: UserProcess, Line: "pts/0", Time: at(60)},                                 // no user: a logout
	{Type: BootTime, Line: "~", User: "reboot", Time: at(2000)},                      // until 3000
	{Type: UserProcess, Line: "pts/1", User: "dan", Time: at(2010)},                  // down at 3000
	{Type: Empty, Line: "|", User: "date", Time: at(2020)},                           //
	{Type: NewTime, Line: "{", User: "date", Time: at(2021)},                         //
	{Type: RunLevel, Line: "~", User: "runlevel", PID: '5'<<8 | '0', Time: at(3000)}, // until 3001
	{Type: RunLevel, Line: "~", User: "shutdown", Time: at(3001)},                    // until 4000
	{Type: BootTime, Line: "~", User: "reboot", Time: at(4000)},                      // still
	{Type: UserProcess, Line: "pts/2", User: "eve", Time: at(4010)},                  // still
	{Type: UserProcess, Line: "pts/3", User: "ghost", Time: at(4020)},                // gone
	{Type: UserProcess, Line: "pts/4", User: "back", Time: at(4030)},                 // logout before the login
	{Type: DeadProcess, Line: "pts/4", Time: at(4025)},
}

func TestSessions(t *testing.T) {
	var got []string
	for s := range Sessions(backward(history), func(r Record) bool { return r.User != "ghost" }) {
		system := ""
		if s.System {
			system = "-x "
		}
		line := system + s.User + " " + s.Line + " " + s.How.String()
		if !s.End.IsZero() {
			line += " " + s.Duration().String()
		}
		got = append(got, line)
	}
	want := []string{
		"back pts/4 logout -5s",
		"ghost pts/3 gone",
		"eve pts/2 still",
		"reboot system boot still",
		"-x shutdown system down logout 16m39s",
		"-x runlevel (to lvl 0) logout 1s",
		"-x date new time none",
		"-x date old time none",
		"dan pts/1 down 16m30s",
		"reboot system boot logout 16m40s",
		"cid pts/0 logout 10s",
		"bob pts/0 logout 10s",
		"ann pts/0 logout 10s",
		"root tty1 crash 33m10s",
		"-x runlevel (to lvl 5) logout 49m59s",
		"reboot system boot logout 50m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for s := range Sessions(backward(history), nil) {
		if s.How == EndGone {
			t.Errorf("%s is gone, but nobody was asked", s.User)
		}
	}
}

func TestJSON(t *testing.T) {
	s := Session{Record: Record{Type: UserProcess, PID: 5, Line: "pts/0", User: "ann", Time: start.UTC()}, How: EndCrash, End: at(60).UTC()}
	b, err := json.Marshal(s)
	want := `{"type":"user_process","pid":5,"line":"pts/0","user":"ann","time":"2023-11-14T22:13:20Z","how":"crash","end":"2023-11-14T22:14:20Z"}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	var back Session
	if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(s, back, addresses) {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func FuzzParse(f *testing.F) {
	var b []byte
	for _, r := range history {
		b = r.Append(b)
	}
	f.Add(b)
	f.Add(b[:700])
	f.Add(bytes.Repeat([]byte{0xff}, 2*Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, from := range []func(*File, func(Corrupt)) iter.Seq2[Record, error]{(*File).Forward, (*File).Backward} {
			records, corrupt := parseFile(b, from)
			f, _ := NewFile(bytes.NewReader(b), int64(len(b)))
			total := int64(len(records) * f.layout.size)
			for _, c := range corrupt {
				total += c.Length
			}
			if total != int64(len(b)) {
				t.Fatalf("%d bytes in records and others, of %d", total, len(b))
			}
			if _, err := json.Marshal(records); err != nil {
				t.Fatal(err)
			}
		}
		records, _ := parseAll(b)
		var written []byte
		for _, r := range records {
			written = r.Append(written)
		}
		f := &File{r: bytes.NewReader(written), size: int64(len(written)), layout: &compact}
		var again []Record
		for r := range f.Forward(nil) {
			again = append(again, r)
		}
		for i := range records { // what fits 32 bits
			records[i].Time = time.Unix(int64(uint32(records[i].Time.Unix())), int64(records[i].Time.Nanosecond()))
		}
		records = slices.DeleteFunc(records, func(r Record) bool { return r.Type == Empty && r.Time.Unix() == 0 })
		again = slices.DeleteFunc(again, func(r Record) bool { return r.Type == Empty && r.Time.Unix() == 0 })
		if !slices.Equal(records, again) { // quicker than cmp
			t.Fatalf("written and read (-want +got):\n%s", cmp.Diff(records, again, addresses))
		}
		for _, r := range records {
			if strings.ContainsRune(r.User+r.Line+r.Host+r.ID, 0) {
				t.Fatalf("a zero byte in %+v", r)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var file []byte
	for range 100 {
		for _, r := range history {
			file = r.Append(file)
		}
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if records, _ := parseAll(file); len(records) != 100*len(history) {
			b.Fatal(len(records))
		}
	}
}
