package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// Hosts come as words of lines that end in either way.
func TestReadHosts(t *testing.T) {
	var got []string
	err := readHosts(strings.NewReader("web1\r\n\r\n 192.0.2.1\tweb2 # web3\n#\n2001:db8::1"), func(w string) { got = append(got, w) })
	if diff := cmp.Diff([]string{"web1", "192.0.2.1", "web2", "2001:db8::1"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	err = readHosts(strings.NewReader(strings.Repeat("a", 1<<17)), func(string) {})
	if err == nil || err.Error() != "a line is longer than 65536 bytes" {
		t.Errorf("a long line: %v", err)
	}
}

// What cannot be asked is said on standard error, whatever it consists of.
func TestNoHosts(t *testing.T) {
	for stdin, want := range map[string]string{
		"":                       "ping: standard input: no hosts\n",
		"\r\n# web1\n":           "ping: standard input: no hosts\n",
		strings.Repeat("a", 1e5): "ping: standard input: a line is longer than 65536 bytes\n",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"-n", "-"}, strings.NewReader(stdin), &stdout, &stderr)
		if code != cli.Failed || stdout.Len() > 0 || stderr.String() != want {
			t.Errorf("%.9q: exit code %d, printed %q and %q", stdin, code, stdout.String(), stderr.String())
		}
	}
}

// Several names of one address are called by each of them, and what has none
// is told and left out.
func TestNamesOfOneAddress(t *testing.T) {
	var stdout, stderr bytes.Buffer
	tool := cli.New("ping", "", "", &stdout, &stderr)
	f := finder{settings: flags(tool)}
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, word := range []string{"web1", "192.0.2.1", "web\x1b2", "192.0.2.2", "nowhere"} {
		f.add(context.Background(), word)
	}
	for i := range f.more {
		f.more[i].addr = one
	}
	f.more[2].err = errors.New("nowhere: no")
	ts := f.targets(tool)
	if diff := cmp.Diff([]netip.Addr{one, one, one, two}, slices.Collect(ts.hosts), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := []string{ts.next(one), ts.next(one), ts.next(one), ts.next(two), ts.name(one), ts.name(two)}
	want := []string{"web1", "192.0.2.1", `web\x1b2`, "192.0.2.2", `192.0.2.1, web\x1b2, web1`, "192.0.2.2"}
	if diff := cmp.Diff(want, got); diff != "" || ts.unknown != 1 || ts.code != cli.Failed || stderr.String() != "ping: nowhere: no\n" {
		t.Errorf("%d unknown, exit code %d, said %q (-want +got):\n%s", ts.unknown, ts.code, stderr.String(), diff)
	}
}
