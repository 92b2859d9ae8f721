package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text from the network, or from anybody else, safe to print:
// control bytes, bytes that are not UTF-8, and runes that a terminal does not
// show or that turn its direction around are written as \x1b or \u202e.
func Escape(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		writeRune(&b, r, s[:n], false)
		s = s[n:]
	}
	return b.String()
}

func clean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// writeRune writes one rune, or the byte that is none, in a form that is safe.
func writeRune(b *strings.Builder, r rune, raw string, lines bool) {
	switch {
	case r == utf8.RuneError && len(raw) == 1, r < ' ', r == 0x7f:
		if lines && (r == '\n' || r == '\t') {
			b.WriteString(raw)
			return
		}
		fmt.Fprintf(b, `\x%02x`, raw[0])
	case unicode.IsPrint(r):
		b.WriteString(raw)
	case r > 0xffff:
		fmt.Fprintf(b, `\U%08x`, r)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}

// EscapeWriter returns a writer that escapes as [Escape] does but lets lines
// and tabs through, and drops the carriage return of a line that ends in CR LF:
// for what a server says in a dialogue. Runes may be split between writes; the
// remainder of one that never ends is written by Close, which does not close w.
func EscapeWriter(w io.Writer) io.WriteCloser { return &escaper{w: w} }

type escaper struct {
	w    io.Writer
	rest string // the beginning of a rune, or a CR that may be followed by LF
}

func (e *escaper) Write(p []byte) (int, error) { return len(p), e.write(e.rest+string(p), false) }

func (e *escaper) Close() error { return e.write(e.rest, true) }

func (e *escaper) write(s string, last bool) error {
	var b strings.Builder
	e.rest = ""
	for len(s) > 0 {
		if !last && (s == "\r" || !utf8.FullRuneInString(s)) {
			e.rest = s
			break
		}
		if strings.HasPrefix(s, "\r\n") {
			s = s[1:]
		}
		r, n := utf8.DecodeRuneInString(s)
		writeRune(&b, r, s[:n], true)
		s = s[n:]
	}
	_, err := io.WriteString(e.w, b.String())
	return err
}
