package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"unicode"
	"unicode/utf8"
)

// PrintJSON prints a snapshot: a library value, or a slice of them, which is
// an array also when it is empty. It is indented on a terminal and one line
// elsewhere.
func PrintJSON(w io.Writer, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	if IsTerminal(w) {
		var indented bytes.Buffer
		if err := json.Indent(&indented, b, "", "  "); err != nil {
			return err
		}
		b = indented.Bytes()
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// JSONLine prints one value of a stream as one line, in one write, so that a
// reader behind a pipe sees it at once.
func JSONLine(w io.Writer, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// JSONSummary prints the last line of a stream: the object v with
// "type":"summary" in front.
func JSONSummary(w io.Writer, v any) error { return jsonTyped(w, "summary", v) }

// JSONError prints an error that ended a stream as a line of its own:
// {"type":"error","error":"…"}.
func JSONError(w io.Writer, err error) error {
	return jsonTyped(w, "error", struct {
		Error string `json:"error"`
	}{err.Error()})
}

func jsonTyped(w io.Writer, typ string, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	if b[0] != '{' {
		return fmt.Errorf("json: %T is not an object", v)
	}
	line := fmt.Appendf(nil, `{"type":%q`, typ)
	if len(b) > len("{}") {
		line = append(line, ',')
	}
	_, err = w.Write(append(append(line, b[1:]...), '\n'))
	return err
}

func encode(v any) ([]byte, error) {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice && rv.IsNil() {
		return []byte("[]"), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// escapeJSON writes the runes that encoding/json lets through and a terminal
// must not get, which can only stand inside strings, as \u escapes.
func escapeJSON(b []byte) []byte {
	unsafe := func(r rune) bool { return r > '~' && !unicode.IsPrint(r) }
	if bytes.IndexFunc(b, unsafe) < 0 {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !unsafe(r):
			out = append(out, b[:n]...)
		case r > 0xffff: // a surrogate pair
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}
