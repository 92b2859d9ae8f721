package diagnose

import (
	"strings"
	"testing"
)

func TestFamilyOf(t *testing.T) {
	for in, want := range map[string]string{
		"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n": "ifupdown",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n":                   "ifupdown",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n":              "networkmanager",
		"ID=opensuse-leap\nID_LIKE='suse opensuse'\n":                 "wicked",
		"ID=arch\n": "networkd",
		"ID=void\n": "",
		"":          "",
	} {
		if got := familyOf(strings.NewReader(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
