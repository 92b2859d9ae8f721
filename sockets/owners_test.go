package sockets

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSocketInode(t *testing.T) {
	tests := []struct {
		link  string
		inode uint32
		ok    bool
	}{
		{"socket:[1]", 1, true},
		{"socket:[4294967295]", 4294967295, true},
		{"socket:[4294967296]", 0, false},
		{"socket:[]", 0, false},
		{"socket:[1", 0, false},
		{"socket:[-1]", 0, false},
		{"pipe:[1]", 0, false},
		{"socket:[1] (deleted)", 0, false},
		{"/tmp/socket:[1]", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		inode, ok := socketInode([]byte(tt.link))
		if ok != tt.ok || ok && inode != tt.inode {
			t.Errorf("socketInode(%q) = %d, %v, want %d, %v", tt.link, inode, ok, tt.inode, tt.ok)
		}
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "42": 42, "2147483647": 2147483647, "2147483648": -1, "": -1, "4x": -1, "-1": -1, "99999999999": -1} {
		got, ok := number([]byte(text))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("number(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestProgramName(t *testing.T) {
	for cmdline, want := range map[string]string{
		"/usr/sbin/sshd\x00-D\x00": "sshd", "nginx: master process /usr/sbin/nginx\x00": "nginx", "": "", "sleep": "sleep", "/": "",
		"sshd: user@pts/0": "0", // as netstat has it
	} {
		if got := programName([]byte(cmdline)); got != want {
			t.Errorf("programName(%q) = %q, want %q", cmdline, got, want)
		}
	}
}

// dirent makes one entry of getdents64.
func dirent(name string) []byte {
	n := (19 + len(name) + 1 + 7) &^ 7
	b := make([]byte, n)
	binary.NativeEndian.PutUint16(b[16:], uint16(n))
	copy(b[19:], name)
	return b
}

func TestEntries(t *testing.T) {
	var got []string
	collect := func(name []byte) { got = append(got, string(name)) }
	entries(bytes.Join([][]byte{dirent("."), dirent("1"), dirent("12345678")}, nil), collect)
	if diff := cmp.Diff([]string{".", "1", "12345678"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = nil
	entries(dirent("1234")[:20], collect)
	if got != nil {
		t.Errorf("entries of a cut buffer: %q", got)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add(append(dirent("1"), dirent("socket:[12]")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries(b, func(name []byte) {
			if len(name) == 0 || name[:len(name)+1][len(name)] != 0 {
				t.Errorf("name %q without a NUL behind it", name)
			}
			number(name)
			socketInode(name)
		})
	})
}
