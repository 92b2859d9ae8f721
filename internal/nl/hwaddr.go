package nl

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// HardwareAddr is a link-layer address of any length, nil for none.
type HardwareAddr []byte

// String returns lower case hexadecimal bytes with colons between them, "" for none.
func (a HardwareAddr) String() string {
	b, _ := a.MarshalText()
	return string(b)
}

// MarshalText implements [encoding.TextMarshaler].
func (a HardwareAddr) MarshalText() ([]byte, error) {
	b := make([]byte, 0, 3*len(a))
	for i, c := range a {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, []byte{c})
	}
	return b, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *HardwareAddr) UnmarshalText(b []byte) error {
	*a = nil
	if len(b) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(string(b), ":") {
		v, err := hex.DecodeString(part)
		if err != nil || len(v) != 1 {
			return fmt.Errorf("link-layer address %q is not colon-separated bytes", b)
		}
		*a = append(*a, v[0])
	}
	return nil
}
