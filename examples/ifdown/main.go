// Ifdown sets network interfaces down as /etc/network/interfaces says, as ifdown(8) of
// Debian's ifupdown does.
//
//	ifdown eth0             that interface
//	ifdown eth0=home        with the stanza of another name
//	ifdown -a               those that are auto
//	ifdown -a --allow=hotplug
//	ifdown -n eth0          only tell what would be done
//	ifdown -v -i FILE eth0  tell what is done; another file
//
// It does what stanzas of inet and inet6 with the methods static, manual and
// loopback say, and inet6 auto: addresses, netmask, broadcast, pointopoint, scope,
// gateway, metric, mtu, hwaddress, accept_ra, autoconf, privext, dad-attempts and
// preferred-lifetime. It needs CAP_NET_ADMIN.
//
// It never runs a command. Lines such as pre-up and post-down are told and left
// to the reader, and so is what needs scripts (/etc/network/if-*.d, mappings,
// bridges, wireless). For a dhcp stanza it tells the command line of the client
// that is installed. Every line that nothing is done about is told with its
// number.
//
// The exit code is 0 when everything that the file says was done (with -n:
// was planned), 1 when not everything was, or 2 when the file could not be read.
//
// Differences from ifdown: there is no state file. What is as it should be already
// is left so, and an interface may be set twice. It does not wait for duplicate
// address detection. --json prints one object a step.
package main

import (
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifupdown"
)

func main() { cli.Main("ifdown", ifupdown.New("ifdown", false)) }
