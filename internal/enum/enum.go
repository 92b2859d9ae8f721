// Package enum gives the typed words of the house their text forms, so that
// JSON and terminals show the same word and unknown values survive a round trip.
package enum

import (
	"fmt"
	"strconv"
	"strings"
)

// Integer is what an enum may be made of.
type Integer interface {
	~uint8 | ~uint16 | ~uint32 | ~int
}

// String returns the word for v, and "typ(42)" when names has none.
func String[T Integer](names []string, typ string, v T) string {
	if i := int(v); i >= 0 && i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", typ, v)
}

// Parse is the reverse of String.
func Parse[T Integer](names []string, typ string, text []byte) (T, error) {
	s := string(text)
	for i, n := range names {
		if n == s && n != "" {
			return T(i), nil
		}
	}
	if rest, ok := strings.CutPrefix(s, typ+"("); ok {
		if num, ok := strings.CutSuffix(rest, ")"); ok {
			if v, err := strconv.Atoi(num); err == nil && int(T(v)) == v {
				return T(v), nil
			}
		}
	}
	return 0, fmt.Errorf("unknown %s %q", typ, s)
}
