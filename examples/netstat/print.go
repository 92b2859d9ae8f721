package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/sockets"
)

// patience is how long names of hosts are waited for.
const patience = 500 * time.Millisecond

// printer writes the two tables of netstat.
type printer struct {
	*options
	names    *cli.Names
	services cli.Services
	users    map[uint32]string
	out      strings.Builder
}

func (o *options) print(ctx context.Context, list []sockets.Socket) error {
	p := printer{options: o, users: map[uint32]string{}}
	if !o.numeric {
		p.services, p.names = cli.ReadServices(), cli.NewNames(ctx)
		defer p.names.Close()
		for _, s := range list {
			p.host(s.Local)
			p.host(s.Remote)
		}
		p.names.Wait(patience)
	}
	asked := o.query().Protocols
	if asked[0] != sockets.Unix {
		p.heading("Active Internet connections", "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ", true)
		for _, s := range list {
			if s.Protocol != sockets.Unix {
				p.inet(s)
			}
		}
	}
	if asked[len(asked)-1] == sockets.Unix {
		p.heading("Active UNIX domain sockets", "Proto RefCnt Flags       Type       State         I-Node  ", false)
		for _, s := range list {
			if s.Protocol == sockets.Unix {
				p.unix(s)
			}
		}
	}
	_, err := io.WriteString(o.Stdout, p.out.String())
	return err
}

func (p *printer) heading(title, columns string, inet bool) {
	which := "w/o servers"
	if p.all {
		which = "servers and established"
	} else if p.listening {
		which = "only servers"
	}
	if inet && p.extend {
		columns += " User       Inode     "
	}
	if p.programs {
		columns += " PID/Program name    "
	}
	if inet && p.timers {
		columns += " Timer"
	}
	if !inet {
		columns += " Path"
	}
	fmt.Fprintf(&p.out, "%s (%s)\n%s\n", title, which, columns)
}

func (p *printer) inet(s sockets.Socket) {
	proto := s.Protocol.String()
	if s.Family == sockets.FamilyIPv6 {
		proto += "6"
	}
	recv := s.RecvQueue
	if s.State == sockets.StateListen {
		recv = s.AcceptQueue
	}
	fmt.Fprintf(&p.out, "%-4s  %6d %6d %-23s %-23s %-11s", proto, recv, s.SendQueue, p.endpoint(s, s.Local), p.endpoint(s, s.Remote), stateWord(s))
	if p.extend {
		fmt.Fprintf(&p.out, " %-10s %-10d", p.user(s.UID), s.Inode)
	}
	if p.programs {
		fmt.Fprintf(&p.out, " %-20s", program(s))
	}
	if p.timers {
		p.out.WriteString(" " + timer(s))
	}
	p.out.WriteByte('\n')
}

func (p *printer) unix(s sockets.Socket) {
	flags, word := "[ ]", ""
	switch s.State {
	case sockets.StateListen:
		flags, word = "[ ACC ]", "LISTENING"
	case sockets.StateEstablished:
		word = "CONNECTED"
	case sockets.StateSynSent:
		word = "CONNECTING"
	}
	typ := strings.ToUpper(s.Type.String())
	fmt.Fprintf(&p.out, "%-5s %-6s %-11s %-10s %-13s %-8d ", "unix", "-", flags, typ, word, s.Inode)
	if p.programs {
		fmt.Fprintf(&p.out, "%-20s ", program(s))
	}
	p.out.WriteString(cli.Escape(s.Path) + "\n")
}

// endpoint writes "192.0.2.1:80", "::1:80", or their names.
func (p *printer) endpoint(s sockets.Socket, ap netip.AddrPort) string {
	port := "*"
	if ap.Port() != 0 {
		port = strconv.Itoa(int(ap.Port()))
		if p.services != nil && s.Protocol != sockets.Raw {
			port = p.services.Port(s.Protocol.String(), ap.Port())
		}
	}
	return p.host(ap) + ":" + port
}

func (p *printer) host(ap netip.AddrPort) string {
	a := ap.Addr().WithZone("")
	switch {
	case p.names == nil || !a.IsValid():
	case a == netip.IPv6Unspecified():
		return "[::]" // so that no port name runs into it
	case !a.IsUnspecified():
		if name := p.names.Host(a.Unmap()); name != "" {
			return cli.Escape(name)
		}
	}
	return a.String()
}

func (p *printer) user(uid uint32) string {
	name := strconv.FormatUint(uint64(uid), 10)
	if p.numeric {
		return name
	}
	if known, ok := p.users[uid]; ok {
		return known
	}
	if u, err := user.LookupId(name); err == nil {
		name = cli.Escape(u.Username)
	}
	p.users[uid] = name
	return name
}

// program is the first process that holds the socket.
func program(s sockets.Socket) string {
	if len(s.Owners) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%s", s.Owners[0].PID, cli.Escape(s.Owners[0].Program))
}

// stateWord is netstat's word for a state. It has words for TCP, one for UDP
// and numbers for raw sockets.
func stateWord(s sockets.Socket) string {
	switch {
	case s.Protocol == sockets.Raw:
		return strconv.Itoa(int(s.State))
	case s.Protocol == sockets.UDP && s.State == sockets.StateClose:
		return ""
	}
	return strings.ToUpper(s.State.String())
}

// timer writes netstat's "name (seconds/retransmits/probes)".
func timer(s sockets.Socket) string {
	retransmits, probes := s.Retransmits, uint8(0)
	name := "off"
	switch s.Timer {
	case sockets.TimerRetransmit:
		name = "on"
	case sockets.TimerKeepalive:
		name, retransmits, probes = "keepalive", 0, s.Retransmits
	case sockets.TimerTimeWait:
		name = "timewait"
	case sockets.TimerProbe:
		name, retransmits, probes = "probe", 0, s.Retransmits
	}
	return fmt.Sprintf("%s (%.2f/%d/%d)", name, s.Expires.Seconds(), retransmits, probes)
}
