package route

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/nl"
)

// What the kernels of the lab do not have.
func TestParseEncap(t *testing.T) {
	body := rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0)
	body = nl.AppendNested(body, rtaEncap, func(b []byte) []byte {
		b = nl.Append(b, 1, []byte{0, 0x06, 0x40, 0xff, 0, 0x0c, 0x81, 0xff}) // 100, and 200 at the bottom
		return nl.AppendU8(b, 2, 9)
	})
	body = nl.AppendU16(body, rtaEncapType, uint16(EncapMPLS))
	var p parser
	var r Route
	if err := p.parse(body, &r); err != nil {
		t.Fatal(err)
	}
	want := &Encap{Type: EncapMPLS, Labels: []uint32{100, 200}, TTL: 9}
	for _, got := range []*Encap{r.Encap, r.NextHops[0].Encap} {
		if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	// A kind of tomorrow, and bytes that are too few, are kept.
	for typ, data := range map[EncapType][]byte{99: {1, 2, 3, 4}, EncapSeg6: {1, 0, 0, 0, 9}, EncapMPLS: {1}, EncapIP: {1, 2}} {
		e := parseEncap(typ, nl.Append(nil, 1, data))
		if len(e.Unknown) != 1 || string(e.Unknown[0].Data) != string(data) {
			t.Errorf("%v: %+v", typ, e)
		}
	}
	if r.Encap.Type.String() != "mpls" || Seg6Encap.String() != "encap" || Seg6Action(7).String() != "End.DT6" {
		t.Error("words")
	}
}

func FuzzParseNextHopObject(f *testing.F) {
	f.Add(nl.AppendNested(nl.AppendU32(make([]byte, sizeofNhmsg), 1, 7), 12, func(b []byte) []byte { return nl.AppendU16(b, 1, 32) }))
	f.Add(nl.Append(nl.AppendU16(make([]byte, sizeofNhmsg), 7, 5), 8, nl.Append(nil, 1, make([]byte, 28))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := parseObject(b); err == nil {
			settledJSON(t, o)
		}
	})
}
