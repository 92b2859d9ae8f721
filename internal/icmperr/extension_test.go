package icmperr

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/icmp"
)

// stack is an extension structure with two labels, after RFC 4950, section 3.
var stack = []byte{
	0x20, 0, 0, 0,
	0, 12, 1, 1,
	0x00, 0x3e, 0x90, 0x01, // label 1001, class 0, not the last, TTL 1
	0x00, 0x7d, 0x0b, 0xff, // label 2000, class 5, the last, TTL 255
}

func TestSetExtensions(t *testing.T) {
	labels := []Label{{Label: 1001, TTL: 1}, {Label: 2000, TC: 5, Bottom: true, TTL: 255}}
	ifindex := []byte{0, 8, 2, 8, 0, 0, 0, 7} // RFC 5837: incoming interface number 7
	other := []Extension{{Class: 2, Type: 8, Data: []byte{0, 0, 0, 7}}}
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for name, tt := range map[string]struct {
		in     []byte
		labels []Label
		others []Extension
	}{
		"two labels":                 {stack, labels, nil},
		"another object first":       {join(stack[:4], ifindex, stack[4:]), labels, other},
		"another object behind":      {join(stack, ifindex), labels, other},
		"two stacks":                 {join(stack, stack[4:]), append(slices.Clone(labels), labels...), nil},
		"a stack of another type":    {[]byte{0x20, 0, 0, 0, 0, 5, 1, 2, 9}, nil, []Extension{{1, 2, []byte{9}}}},
		"an empty object":            {[]byte{0x20, 0, 0, 0, 0, 4, 9, 9}, nil, []Extension{{9, 9, []byte{}}}},
		"nothing":                    {nil, nil, nil},
		"a header alone":             {stack[:4], nil, nil},
		"another version":            {join([]byte{0x10}, stack[1:]), nil, nil},
		"an object that is cut":      {stack[:12], nil, nil},
		"half a label":               {[]byte{0x20, 0, 0, 0, 0, 6, 1, 1, 1, 2}, nil, nil},
		"an object that is no size":  {[]byte{0x20, 0, 0, 0, 0, 3, 1, 1}, nil, nil},
		"an object of no size":       {[]byte{0x20, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1}, nil, nil},
		"bytes behind the last":      {join(stack, []byte{1, 2}), labels, nil},
		"an object that is too long": {join(stack, []byte{0xff, 0xff, 1, 1}), labels, nil},
	} {
		e := Error{Labels: []Label{{Label: 9}}}
		e.SetExtensions(tt.in)
		if diff := cmp.Diff(tt.labels, e.Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tt.others, e.Extensions); diff != "" {
			t.Errorf("%s: others (-want +got):\n%s", name, diff)
		}
	}
}

// What is kept does not change with the buffer that it came in.
func TestSetExtensionsCopies(t *testing.T) {
	b := []byte{0x20, 0, 0, 0, 0, 8, 2, 8, 0, 0, 0, 7}
	var e Error
	e.SetExtensions(b)
	clear(b)
	if diff := cmp.Diff([]Extension{{2, 8, []byte{0, 0, 0, 7}}}, e.Extensions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// x/net writes what is read here.
func TestSetExtensionsAgainstXNet(t *testing.T) {
	want := []Label{{Label: 0xfffff, TC: 7, TTL: 3}, {Bottom: true}, {Label: 16, TC: 1, Bottom: true, TTL: 255}}
	var labels []icmp.MPLSLabel
	for _, l := range want {
		labels = append(labels, icmp.MPLSLabel{Label: int(l.Label), TC: int(l.TC), S: l.Bottom, TTL: int(l.TTL)})
	}
	object, err := (&icmp.MPLSLabelStack{Class: 1, Type: 1, Labels: labels}).Marshal(1)
	if err != nil {
		t.Fatal(err)
	}
	var e Error
	e.SetExtensions(append([]byte{0x20, 0, 0, 0}, object...))
	if diff := cmp.Diff(want, e.Labels); diff != "" {
		t.Errorf("(-x/net +ours):\n%s", diff)
	}
}

// FuzzSetExtensions: whatever comes, nothing is kept that was not there, and
// what is kept reads the same when it is written again.
func FuzzSetExtensions(f *testing.F) {
	f.Add(stack)
	f.Add(append(slices.Clone(stack), 0, 8, 2, 8, 0, 0, 0, 7, 0, 4, 3, 1, 0xff, 0xff, 1, 1))
	f.Add([]byte{0x20, 0, 0, 0, 0, 0, 1, 1})
	f.Add(append([]byte{0x2f, 1, 2, 3, 0xff, 0xff, 1, 1}, bytes.Repeat([]byte{0xff}, 1500)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Error
		e.SetExtensions(b)
		size, again := 4, []byte{0x20, 0, 0, 0}
		for _, l := range e.Labels {
			if l.Label >= 1<<20 || l.TC > 7 {
				t.Errorf("label %+v", l)
			}
			size += 4
			bottom := byte(0)
			if l.Bottom {
				bottom = 1
			}
			again = append(again, 0, 8, 1, 1, byte(l.Label>>12), byte(l.Label>>4), byte(l.Label<<4)|l.TC<<1|bottom, l.TTL)
		}
		for _, x := range e.Extensions {
			size += 4 + len(x.Data)
			again = append(append(again, byte((len(x.Data)+4)>>8), byte(len(x.Data)+4), x.Class, x.Type), x.Data...)
		}
		if size > len(b) && len(e.Labels)+len(e.Extensions) > 0 {
			t.Errorf("%d bytes out of %d: %+v", size, len(b), e)
		}
		var back Error
		back.SetExtensions(again)
		if diff := cmp.Diff(e, back, cmpopts.EquateEmpty(), cmpopts.EquateComparable(e.From)); diff != "" {
			t.Errorf("written again (-want +got):\n%s", diff)
		}
	})
}
