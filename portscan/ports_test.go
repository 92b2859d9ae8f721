package portscan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/portscan"
)

func TestPorts(t *testing.T) {
	for spec, want := range map[string][]uint16{
		"80":                {80},
		"22,80-83,443":      {22, 80, 81, 82, 83, 443},
		"443,22,80-81,80":   {22, 80, 81, 443},
		" 22 , http, https": {22, 80, 443},
		"-3":                {1, 2, 3},
		"65533-":            {65533, 65534, 65535},
		"domain":            {53},
	} {
		got, err := portscan.Ports(spec)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %v (-want +got)\n%s", spec, err, d)
		}
	}
	all, err := portscan.Ports("-")
	if err != nil || len(all) != 65535 || all[0] != 1 || all[65534] != 65535 {
		t.Errorf("all: %d ports, %v", len(all), err)
	}
	for _, spec := range []string{
		"", ",", "80,", "0", "70000", "0-5", "80-70000", "90-80", "+80", "8 0", "1-2-3", "no-such-service", "-0", "４２",
	} {
		if got, err := portscan.Ports(spec); err == nil {
			t.Errorf("%q: %v", spec, got)
		} else if !strings.HasPrefix(err.Error(), "portscan: ports ") {
			t.Error(err)
		}
	}
}

func FuzzPorts(f *testing.F) {
	for _, s := range []string{"22,80-90,http", "-", "1-", "-1,65535", "0", "99999999999999999999", "a-b", ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		got, err := portscan.Ports(spec)
		if (err == nil) != (len(got) > 0) {
			t.Errorf("%q: %v, %v", spec, got, err)
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || slices.Contains(got, 0) {
			t.Errorf("%q: %v", spec, got)
		}
	})
}

// Every word reads back as what it was written from.
func TestWords(t *testing.T) {
	for s := portscan.StateUnknown; s <= portscan.StateUnfiltered+1; s++ {
		var back portscan.State
		if text, _ := s.MarshalText(); back.UnmarshalText(text) != nil || back != s {
			t.Errorf("%v reads back as %v", s, back)
		}
	}
	for r := portscan.ReasonUnknown; r <= portscan.ReasonSelfConnect+1; r++ {
		var back portscan.Reason
		if text, _ := r.MarshalText(); back.UnmarshalText(text) != nil || back != r {
			t.Errorf("%v reads back as %v", r, back)
		}
	}
	var s portscan.State
	if s.UnmarshalText([]byte("ajar")) == nil {
		t.Error("a state that there is not")
	}
}
