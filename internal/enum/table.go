package enum

import "fmt"

// Table names the values of an enum that is too sparse for a slice.
type Table[T Integer] map[T]string

// String returns the word for v, and "typ(42)" when the table has none.
func (t Table[T]) String(typ string, v T) string {
	if s := t[v]; s != "" {
		return s
	}
	return fmt.Sprintf("%s(%d)", typ, v)
}

// Parse is the reverse of String.
func (t Table[T]) Parse(typ string, text []byte) (T, error) {
	for v, s := range t {
		if s == string(text) && s != "" {
			return v, nil
		}
	}
	return Parse[T](nil, typ, text)
}
