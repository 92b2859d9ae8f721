package link

import (
	"errors"
	"os"
	"testing"
)

func TestLoopback(t *testing.T) {
	l, err := Get(t.Context(), "lo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Index != 1 || !l.Loopback() || l.Type != TypeLoopback {
		t.Errorf("got index %d, flags %v, type %v", l.Index, l.Flags, l.Type)
	}
}

func TestAbsent(t *testing.T) {
	for _, name := range []string{"", "nosuchiface0", "nosuchinterfacewithalongname0"} {
		if _, err := Get(t.Context(), name, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Get(%q): got %v, want os.ErrNotExist", name, err)
		}
	}
}
