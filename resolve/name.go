package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Wire limits of RFC 1035 section 2.3.4.
const (
	maxLabel = 63
	maxName  = 255 // with all length bytes and the root
)

// appendLabel appends a label as a zone file has it. What dig escapes is
// escaped, so that names compare with its output.
func appendLabel(dst, label []byte) []byte {
	for _, c := range label {
		switch {
		case c <= ' ' || c > '~':
			dst = appendDDD(dst, c)
		case strings.IndexByte(`"().;\@$`, c) >= 0:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendDDD(dst []byte, c byte) []byte {
	return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
}

// escapeString is for character strings, where only quotes and what does not
// print need it.
func escapeString(b []byte) string {
	plain := true
	for _, c := range b {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return string(b)
	}
	dst := make([]byte, 0, len(b)+8)
	for _, c := range b {
		switch {
		case c < ' ' || c > '~':
			dst = appendDDD(dst, c)
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return string(dst)
}

// appendUnescaped is the reverse of escapeString.
func appendUnescaped(dst []byte, s string) []byte {
	for s != "" {
		c, n, _ := unescape(s)
		dst = append(dst, c)
		s = s[n:]
	}
	return dst
}

// unescape reads the first character of s, which is not empty: what it stands
// for, how long it is, and whether a backslash took its special meaning away.
func unescape(s string) (c byte, n int, escaped bool) {
	if s[0] != '\\' || len(s) == 1 {
		return s[0], 1, false
	}
	if len(s) >= 4 && isDigit(s[1]) && isDigit(s[2]) && isDigit(s[3]) {
		if v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0'); v <= 255 {
			return byte(v), 4, true
		}
	}
	return s[1], 2, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

var (
	errNameEmpty = errors.New("empty name")
	errNameLong  = errors.New("name longer than 255 bytes")
	errLabelLong = errors.New("label longer than 63 bytes")
	errLabelVoid = errors.New("empty label")
)

// wireName converts a name to its form on the wire, uncompressed. A final dot
// makes no difference.
func wireName(s string) ([]byte, error) {
	if s == "" {
		return nil, errNameEmpty
	}
	w := make([]byte, 1, len(s)+2)
	if s == "." {
		return w, nil
	}
	start := 0 // of the label's length byte
	for s != "" {
		c, n, escaped := unescape(s)
		if c >= 0x80 && !escaped {
			return nil, fmt.Errorf("byte 0x%02x is not ASCII: give the name in its xn-- form (RFC 5891)", c)
		}
		s = s[n:]
		if c != '.' || escaped {
			w = append(w, c)
			continue
		}
		if err := closeLabel(w, start); err != nil {
			return nil, err
		}
		start = len(w)
		w = append(w, 0)
	}
	// After a final dot the label is empty: that is the root.
	if len(w)-start > 1 {
		if err := closeLabel(w, start); err != nil {
			return nil, err
		}
		w = append(w, 0)
	}
	if len(w) > maxName {
		return nil, errNameLong
	}
	return w, nil
}

func closeLabel(w []byte, start int) error {
	n := len(w) - start - 1
	if n == 0 {
		return errLabelVoid
	}
	if n > maxLabel {
		return errLabelLong
	}
	w[start] = byte(n)
	return nil
}

// nameText converts a name on the wire, uncompressed and valid, to text.
func nameText(w []byte) string {
	if len(w) <= 1 {
		return "."
	}
	dst := make([]byte, 0, len(w)+4)
	for w[0] != 0 {
		n := int(w[0])
		dst = append(appendLabel(dst, w[1:1+n]), '.')
		w = w[1+n:]
	}
	return string(dst)
}

// sameName compares names as the DNS does: ASCII letters without case, a final
// dot does not matter. Both are in this package's own escaped form.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// ReverseName returns the name that PTR records of an address are under:
// 1.2.0.192.in-addr.arpa. or nibbles under ip6.arpa. (RFC 1035 section 3.5,
// RFC 3596 section 2.5). The zone of addr plays no part; an invalid addr gives "".
func ReverseName(addr netip.Addr) string {
	addr = addr.Unmap()
	if !addr.IsValid() {
		return ""
	}
	if addr.Is4() {
		b := addr.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
	}
	const hex = "0123456789abcdef"
	b := addr.As16()
	var s strings.Builder
	for i := len(b) - 1; i >= 0; i-- {
		s.WriteByte(hex[b[i]&15])
		s.WriteByte('.')
		s.WriteByte(hex[b[i]>>4])
		s.WriteByte('.')
	}
	return s.String() + "ip6.arpa."
}
