package diagnose

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// distribution tells what configures the network of this host, as a key of
// managers: by what runs, then by what is installed, then by the distribution.
func distribution(osRelease string) string {
	exists := func(pattern string) bool {
		m, _ := filepath.Glob(pattern)
		return len(m) > 0
	}
	for _, c := range []struct{ pattern, word string }{
		{"/etc/netplan/*.yaml", "netplan"},
		{"/run/NetworkManager", "networkmanager"},
		{"/run/systemd/netif/links/*", "networkd"},
		{"/etc/network/interfaces", "ifupdown"},
		{"/etc/sysconfig/network-scripts/ifcfg-*", "ifcfg"},
		{"/etc/wicked", "wicked"},
	} {
		if exists(c.pattern) {
			return c.word
		}
	}
	if osRelease == "" {
		osRelease = "/etc/os-release"
	}
	f, err := os.Open(osRelease)
	if err != nil {
		return ""
	}
	defer f.Close()
	return familyOf(f)
}

// familyOf reads os-release(5) and names what the distribution family uses.
func familyOf(r io.Reader) string {
	var ids []string
	for s := bufio.NewScanner(r); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), "=")
		if key == "ID" || key == "ID_LIKE" {
			ids = append(ids, strings.Fields(strings.Trim(value, `"'`))...)
		}
	}
	for _, id := range ids {
		switch id {
		case "debian", "ubuntu", "alpine":
			return "ifupdown"
		case "fedora", "rhel", "centos":
			return "networkmanager"
		case "suse", "opensuse":
			return "wicked"
		case "arch":
			return "networkd"
		}
	}
	return ""
}
