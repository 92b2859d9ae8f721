package sockets

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCounters(t *testing.T) {
	got, err := parsePairs([]byte("Tcp: RtoMin MaxConn InSegs\nTcp: 200 -1 18446744073709551615\nUdp: NoPorts\nUdp: 3\nEmpty:\nEmpty:\n"))
	want := []CounterGroup{
		{"Tcp", []Counter{{"RtoMin", 200}, {"MaxConn", -1}, {"InSegs", -1}}},
		{"Udp", []Counter{{"NoPorts", 3}}},
		{"Empty", []Counter{}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	got, err = parseSNMP6([]byte("Ip6InReceives                   \t2\nIcmp6InMsgs                     \t1\nIcmp6OutType129                 \t7\n"))
	want = []CounterGroup{{"Ip6", []Counter{{"InReceives", 2}}}, {"Icmp6", []Counter{{"InMsgs", 1}, {"OutType129", 7}}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if v, ok := want[1].Value("OutType129"); v != 7 || !ok {
		t.Errorf("OutType129 is %d, %v", v, ok)
	}
	for _, bad := range []string{"Tcp A\n", "Tcp: A\nUdp: 1\n", "Tcp: A\nTcp: 1 2\n", "Tcp: A\nTcp: x\n", "\n"} {
		if got, err := parsePairs([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
	for _, bad := range []string{"Tcp\t1\n", "Ip6In\tx\n", "Ip6In\n"} {
		if got, err := parseSNMP6([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// Without /proc there is no answer, which is not an empty one.
func TestCountersWithoutFiles(t *testing.T) {
	for _, tt := range []struct {
		has    string
		family Family
		groups int
		ok     bool
	}{
		{"snmp netstat snmp6", FamilyAny, 2, true},
		{"snmp", FamilyAny, 1, true},
		{"snmp", FamilyIPv6, 0, true}, // a kernel without IPv6
		{"", FamilyAny, 0, false},
		{"", FamilyIPv4, 0, false},
		{"", FamilyIPv6, 0, false},
	} {
		groups, err := readCounters(tt.family, func(name string) ([]byte, error) {
			if !slices.Contains(strings.Fields(tt.has), name) {
				return nil, fs.ErrNotExist
			}
			if name == "snmp6" {
				return nil, nil
			}
			return []byte("Tcp: A\nTcp: 1\n"), nil
		})
		if len(groups) != tt.groups || (err == nil) != tt.ok || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q, %v: %v, %v", tt.has, tt.family, groups, err)
		}
	}
}

func FuzzParseCounters(f *testing.F) {
	f.Add([]byte("Tcp: RtoMin MaxConn\nTcp: 200 -1\n"))
	f.Add([]byte("Ip6InReceives \t2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) ([]CounterGroup, error){parsePairs, parseSNMP6} {
			groups, _ := parse(text)
			if _, err := json.Marshal(groups); err != nil {
				t.Error(err)
			}
		}
	})
}
