package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestEscape(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"web1.example", "web1.example"},
		{"a b~", "a b~"},
		{"naïve 日本", "naïve 日本"},
		{"\x1b]0;title\a", `\x1b]0;title\x07`},
		{"a\nb\tc\r", `a\x0ab\x09c\x0d`},
		{"\x7f\u009b31m", `\x7f\u009b31m`},
		{"\xff\xc3", `\xff\xc3`},
		{"\ufffd", "\ufffd"},
		{"x\u202egpj.exe", `x\u202egpj.exe`},
		{"\u2066\u200b\u2028\ufeff", `\u2066\u200b\u2028\ufeff`},
		{"\U000e0041", `\U000e0041`},
	}
	for _, tt := range tests {
		if got := Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("plain", 2)
	f.Add("\x1b[2J\u202e\xff\r\n", 1)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		safe := Escape(s)
		if !utf8.ValidString(safe) || strings.ContainsFunc(safe, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("Escape(%q) = %q", s, safe)
		}
		if Escape(safe) != safe {
			t.Fatalf("Escape is not idempotent for %q", s)
		}
		// However the bytes are cut into writes, the result is the same.
		cut = min(max(cut, 0), len(s))
		if whole, parts := throughWriter(t, s), throughWriter(t, s[:cut], s[cut:]); whole != parts {
			t.Fatalf("%q whole, %q cut at %d", whole, parts, cut)
		}
	})
}

func throughWriter(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := EscapeWriter(&b)
	for _, p := range parts {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEscapeWriter(t *testing.T) {
	tests := []struct {
		parts []string
		want  string
	}{
		{[]string{"220 ready\r\n250\tok\n"}, "220 ready\n250\tok\n"},
		{[]string{"220 ready\r", "\nx\r", "y\r"}, "220 ready\nx\\x0dy\\x0d"},
		{[]string{"\xe6\x97", "\xa5"}, "日"},
		{[]string{"\xe6\x97", "x\xe6"}, `\xe6\x97x\xe6`},
		{[]string{"\x1b", "[2J"}, `\x1b[2J`},
	}
	for _, tt := range tests {
		if got := throughWriter(t, tt.parts...); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.parts, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table := Table{Out: &b, Right: []int{1}}
	paint := Palette{on: true}
	table.Row("HOST", "PORT", "STATE")
	table.Row("web1", 80, Cell{"open", paint.Green})
	table.Row("a\x1bb", 65535, "")
	table.Row("né", "", "closed")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"HOST     PORT  STATE\n" +
		"web1       80  \x1b[32mopen\x1b[0m\n" +
		`a\x1bb  65535` + "\n" +
		"né             closed\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	table.Row("x")
	b.Reset()
	if err := table.Flush(); err != nil || b.String() != "x\n" {
		t.Errorf("a used table printed %q, %v", b.String(), err)
	}
}

func TestPipeGetsNoColors(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	t.Setenv("COLUMNS", "")
	p := Colors(&bytes.Buffer{})
	for _, paint := range []func(string) string{p.Bold, p.Faint, p.Red, p.Green, p.Yellow, p.Cyan} {
		if got := paint("x"); got != "x" {
			t.Errorf("painted %q", got)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if IsTerminal(w) || Width(w) != 80 {
		t.Errorf("a pipe: IsTerminal %v, Width %d", IsTerminal(w), Width(w))
	}
	w.Close()
	if IsTerminal(w) {
		t.Error("a closed file is a terminal")
	}
}

func TestJSON(t *testing.T) {
	type record struct {
		Name string `json:"name"`
		N    int    `json:"n,omitzero"`
	}
	var none []record
	tests := []struct {
		name  string
		print func(*bytes.Buffer) error
		want  string
	}{
		{"no rows", func(b *bytes.Buffer) error { return PrintJSON(b, none) }, "[]\n"},
		{"rows", func(b *bytes.Buffer) error { return PrintJSON(b, []record{{"a", 1}, {"<b>", 0}}) }, `[{"name":"a","n":1},{"name":"<b>"}]` + "\n"},
		{"line", func(b *bytes.Buffer) error { return JSONLine(b, record{"a", 1}) }, `{"name":"a","n":1}` + "\n"},
		{"escapes", func(b *bytes.Buffer) error { return JSONLine(b, record{Name: "\x1b\u009b\u202e\U000e0041é\x7f"}) },
			`{"name":"\u001b\u009b\u202e\udb40\udc41é\u007f"}` + "\n"},
		{"summary", func(b *bytes.Buffer) error { return JSONSummary(b, record{"a", 1}) }, `{"type":"summary","name":"a","n":1}` + "\n"},
		{"empty summary", func(b *bytes.Buffer) error { return JSONSummary(b, struct{}{}) }, `{"type":"summary"}` + "\n"},
		{"error", func(b *bytes.Buffer) error { return JSONError(b, errors.New(`no "host"`)) }, `{"type":"error","error":"no \"host\""}` + "\n"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		if err := tt.print(&b); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if !json.Valid(b.Bytes()) {
			t.Errorf("%s: not JSON: %s", tt.name, b.String())
		}
	}
	if err := JSONSummary(&bytes.Buffer{}, []int{1}); err == nil {
		t.Error("a summary that is no object is accepted")
	}
	if err := PrintJSON(&bytes.Buffer{}, func() {}); err == nil {
		t.Error("a function is accepted")
	}
}

func TestJSONKeepsTheText(t *testing.T) {
	for _, s := range []string{"\U000e0041", "a\u202eb", "\u009b", "日本 é", "\x00\x7f"} {
		var b bytes.Buffer
		var got string
		if err := JSONLine(&b, s); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil || got != s {
			t.Errorf("%q came back as %q, %v", s, got, err)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	var b bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&b, "sc\x1ban", 200, func() time.Time { return now })
	steps := []struct {
		after time.Duration
		add   int
		want  string
	}{
		{time.Second, 0, `sc\x1ban  [........................]   0%  0/200`},
		{time.Second, 50, `sc\x1ban  [######..................]  25%  50/200  6s left`},
		{time.Millisecond, 1, ""}, // too soon
		{time.Second, 149, `sc\x1ban  [########################] 100%  200/200`},
	}
	for _, s := range steps {
		now = now.Add(s.after)
		b.Reset()
		p.Add(s.add)
		got := strings.TrimPrefix(b.String(), "\r\x1b[K")
		if got != s.want {
			t.Errorf("after %v: %q, want %q", s.after, got, s.want)
		}
	}
	b.Reset()
	p.Clear()
	p.Clear()
	if b.String() != "\r\x1b[K" {
		t.Errorf("cleared with %q", b.String())
	}
	b.Reset()
	p.Set(7, 0) // at once, since the line is not there
	if got := b.String(); got != "\r\x1b[K"+`sc\x1ban  7  3s` {
		t.Errorf("unknown total: %q", got)
	}
}

func TestProgressIsForTerminals(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "scan", 2)
	p.Add(1)
	p.Set(2, 2)
	p.Clear()
	if b.Len() > 0 {
		t.Errorf("printed %q on a pipe", b.String())
	}
}

func BenchmarkTable(b *testing.B) {
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		table := Table{Out: &out, Right: []int{1}}
		for range 1000 {
			table.Row("192.0.2.1", 443, "open")
		}
		table.Flush()
	}
}
