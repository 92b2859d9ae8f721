package main

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
)

// readNetworks reads the names of networks (networks(5)); without the file
// they have none.
func readNetworks() map[netip.Addr]string {
	f, err := os.Open("/etc/networks")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseNetworks(f)
}

// parseNetworks reads lines of "name address aliases… # comment". An address
// may lack zeros at its end; the first name of an address counts.
func parseNetworks(r io.Reader) map[netip.Addr]string {
	networks := map[netip.Addr]string{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		number := fields[1]
		for strings.Count(number, ".") < 3 {
			number += ".0"
		}
		if a, err := netip.ParseAddr(number); err == nil && a.Is4() && networks[a] == "" {
			networks[a] = fields[0]
		}
	}
	return networks
}
