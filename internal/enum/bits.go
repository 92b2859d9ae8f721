package enum

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Mask is what a set of flags may be made of.
type Mask interface {
	~uint8 | ~uint16 | ~uint32
}

// Words returns a word for every bit that is set, lowest first; names[i] is the
// word of bit i. Bits without a name are told together, last, as "0x40000000".
func Words[T Mask](names []string, v T) []string {
	words := make([]string, 0, bits.OnesCount32(uint32(v)))
	for i, n := range names {
		if bit := T(1) << i; v&bit != 0 && n != "" {
			words = append(words, n)
			v &^= bit
		}
	}
	if v != 0 {
		words = append(words, fmt.Sprintf("%#x", uint32(v)))
	}
	return words
}

// Join returns the words with a bar between them, "" for none.
func Join[T Mask](names []string, v T) string { return strings.Join(Words(names, v), "|") }

// MarshalWords returns the words as a JSON array.
func MarshalWords[T Mask](names []string, v T) ([]byte, error) {
	return json.Marshal(Words(names, v))
}

// UnmarshalWords is the reverse of MarshalWords. typ is for the error.
func UnmarshalWords[T Mask](names []string, typ string, b []byte) (T, error) {
	var words []string
	if err := json.Unmarshal(b, &words); err != nil {
		return 0, err
	}
	var v T
	for _, w := range words {
		bit, err := ParseBit[T](names, typ, w)
		if err != nil {
			return 0, err
		}
		v |= bit
	}
	return v, nil
}

// ParseBit returns the flag of a word of Words.
func ParseBit[T Mask](names []string, typ, word string) (T, error) {
	for i, n := range names {
		if n == word && n != "" {
			return T(1) << i, nil
		}
	}
	if hex, ok := strings.CutPrefix(word, "0x"); ok {
		if v, err := strconv.ParseUint(hex, 16, 32); err == nil && uint64(T(v)) == v {
			return T(v), nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q", typ, word)
}
