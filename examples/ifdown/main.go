// Ifdown sets network interfaces down as /etc/network/interfaces says, as ifdown(8) of
// Debian's ifupdown does.
//
//	ifdown eth0             that interface
//	ifdown eth0=home        with the stanza of another name
//	ifdown -a               those that are up, the latest first
//	ifdown -a --allow=hotplug
//	ifdown /eth*/1          patterns as in interfaces(5)
//	ifdown -n eth0          only print what would be done
//	ifdown -v -i FILE eth0  tell what is done; another file
//	ifdown --query home     the lines of a stanza, as ifquery prints them; --list, --state
//
// It undoes what stanzas of inet and inet6 say; the package comment of ifup has the
// methods and options. It speaks to the kernel itself, and needs CAP_NET_ADMIN.
//
// The commands of the file (down, pre-down, post-down) are run by /bin/sh, the
// scripts in /etc/network/if-*.d in the order of their names, with the environment
// of interfaces(5) and no other. Everything is tried, even if something fails.
//
// The state is kept in /run/network, in the files and with the locks of ifupdown:
// what one of them has set up the other sets down. An ifup that is still at the
// interface is told to end.
//
// The exit code is 0 when everything that the file says was done, had been before,
// or was planned; 1 when something was refused (where ifdown says 0); or 2 when the
// file could not be read or the command line makes no sense.
//
// --json prints one object a step, and what commands print goes to standard error
// then.
package main

import (
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifupdown"
)

func main() { cli.Main("ifdown", ifupdown.New("ifdown", false)) }
