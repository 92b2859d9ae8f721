package ping

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The timestamp option with given addresses is that of RFC 791, page 22.
func TestPrespecOption(t *testing.T) {
	hops := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	o := Options{IPTimestamp: IPTimestampPrespec, IPTimestampHops: hops}
	if err := o.checkStamps(); err != nil {
		t.Error(err)
	}
	want := []byte{68, 20, 5, 3, 192, 0, 2, 1, 0, 0, 0, 0, 192, 0, 2, 2, 0, 0, 0, 0}
	if d := cmp.Diff(want, o.ipOptions()); d != "" {
		t.Error(d)
	}
	for _, o := range []Options{
		{IPTimestamp: IPTimestampOnly, IPTimestampHops: hops},
		{IPTimestamp: IPTimestampPrespec, IPTimestampHops: append(slices.Clone(hops), hops[0], hops[0], hops[0])},
		{IPTimestamp: IPTimestampPrespec, IPTimestampHops: []netip.Addr{host6}},
	} {
		if o.checkStamps() == nil {
			t.Errorf("%v of %v was taken", o.IPTimestamp, o.IPTimestampHops)
		}
	}
}

func FuzzIPOptions(f *testing.F) {
	f.Add([]byte{1, 7, 7, 8, 192, 0, 2, 1})
	f.Add([]byte{68, 12, 13, 0x31, 192, 0, 2, 1, 0x80, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := parseIPOptions(b); r != nil && (len(r.Route)+len(r.Stamps))*4 > len(b) {
			t.Errorf("%d addresses and %d stamps in %d bytes", len(r.Route), len(r.Stamps), len(b))
		}
	})
}
