package diagnose

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseTarget(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	for in, want := range map[string]Target{
		"":                          {},
		"web1":                      {Host: "web1"},
		"web1:80":                   {Host: "web1", Port: 80},
		"web1:https":                {Host: "web1", Port: 443},
		"[2001:db8::7]:SSH":         {Host: "2001:db8::7", Addr: v6, Port: 22},
		"::ffff:192.0.2.7":          {Host: "192.0.2.7", Addr: v4},
		"[::ffff:192.0.2.7]:443":    {Host: "192.0.2.7", Addr: v4, Port: 443},
		"web1.example.com.":         {Host: "web1.example.com."},
		"192.0.2.7":                 {Host: "192.0.2.7", Addr: v4},
		"192.0.2.7:443":             {Host: "192.0.2.7", Addr: v4, Port: 443},
		"2001:db8::7":               {Host: "2001:db8::7", Addr: v6},
		"[2001:db8::7]":             {Host: "2001:db8::7", Addr: v6},
		"[2001:db8::7]:22":          {Host: "2001:db8::7", Addr: v6, Port: 22},
		"fe80::1%eth0":              {Host: "fe80::1%eth0", Addr: netip.MustParseAddr("fe80::1%eth0")},
		"http://web1/index.html":    {Host: "web1", Port: 80, Scheme: "http"},
		"https://web1.example:8443": {Host: "web1.example", Port: 8443, Scheme: "https"},
		"HTTPS://[2001:db8::7]/x":   {Host: "2001:db8::7", Addr: v6, Port: 443, Scheme: "https"},
		"ssh://root@web1":           {Host: "web1", Port: 22, Scheme: "ssh"},
		"_sip._tcp.example.com":     {Host: "_sip._tcp.example.com"},
	} {
		got, err := ParseTarget(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", in, diff)
		}
		if again, err := ParseTarget(got.String()); got.Scheme == "" && !got.Local() && (err != nil || again != got) {
			t.Errorf("%q: String gives %q, which parses as %+v, %v", in, got, again, err)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"web1:0":                             "port 0 is not between 1 and 65535",
		"web1:70000":                         "port 70000 is not between 1 and 65535",
		"web1:htpt":                          `port "htpt" is neither a number nor a service`,
		"[2001:db8::7":                       "a [ without its ]",
		"[2001:db8::7]x":                     "a [ without its ]",
		"http://":                            "the URL has no host",
		"http:///path":                       "the URL has no host",
		"foo://web1":                         "no port is known",
		"web 1":                              "a host name cannot hold",
		"web1\x1b[2J":                        "a host name cannot hold",
		"münchen.example":                    "ASCII form",
		"a..b":                               "empty label",
		":80":                                "the host is empty",
		"192.0.2.300":                        "neither an address nor a name",
		"http://we%zzb/":                     "not a URL",
		strings.Repeat("a", 64) + ".example": "longer than 63",
		strings.Repeat("abc.", 70) + "a":     "longer than 253",
	} {
		got, err := ParseTarget(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v; want an error about %q", in, got, err, want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"web1:80", "[::1]:22", "http://x/", "fe80::1%eth0", "a.b.c."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTarget(s)
		if err != nil {
			return
		}
		if !got.Local() && got.Host == "" {
			t.Errorf("%q: a target without a host", s)
		}
		if again, err := ParseTarget(got.String()); got.Scheme == "" && !got.Local() && (err != nil || again != got) {
			t.Errorf("%q: String gives %q, which parses as %+v, %v", s, got, again, err)
		}
	})
}
