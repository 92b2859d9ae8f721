// Ifup sets network interfaces up as /etc/network/interfaces says, as ifup(8) of
// Debian's ifupdown does.
//
//	ifup eth0             that interface
//	ifup eth0=home        with the stanza of another name
//	ifup -a               those that are auto
//	ifup -a --allow=hotplug
//	ifup /eth*/1          patterns as in interfaces(5)
//	ifup -n eth0          only print what would be done
//	ifup -v -i FILE eth0  tell what is done; another file
//	ifup --query home     the lines of a stanza, as ifquery prints them; --list, --state
//
// It does what stanzas of inet and inet6 with the methods static, manual and
// loopback say, and inet6 auto: addresses, netmask, broadcast, pointopoint, scope,
// gateway, metric, mtu, hwaddress, accept_ra, autoconf, privext, dad-attempts,
// dad-interval, preferred-lifetime and description. It speaks to the kernel
// itself, and needs CAP_NET_ADMIN.
//
// The commands of the file (pre-up, up, post-up, pre-down, down, post-down) are run
// by /bin/sh, the scripts in /etc/network/if-*.d in the order of their names, with
// the environment of interfaces(5) and no other; those of mappings have the caller's.
// On the way up the first that fails ends it, unless there is --ignore-errors, and
// the interface does not count as up; what was set until then stays. On the way
// down everything is tried. A stanza that makes no sense is refused before anything
// is done.
//
// The state is kept in /run/network, in the files and with the locks of ifupdown:
// what one of them has set up the other knows of.
//
// For a dhcp stanza it tells the command line of the client that is installed,
// and fails. VLANs, bridges and tunnels are not made, and nothing is renamed.
//
// The exit code is 0 when everything that the file says was done, had been before,
// or was planned; 1 when not; or 2 when the file could not be read or the command
// line makes no sense.
//
// Differences from ifup: an address that is there already is no error; of a line
// that is inherited and said again the latter counts; messages name the line that
// failed. --json prints one object a step, and what commands print goes to standard
// error then.
package main

import (
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifupdown"
)

func main() { cli.Main("ifup", ifupdown.New("ifup", true)) }
