package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// refused are options of the classic that are not there, and why.
var refused = map[string]string{
	"gateway":  "-g: routers drop source routed packets (RFC 7126, RFC 5095), and Linux does not hand on the answers from before the gateway",
	"dccp":     "-D: Linux has no DCCP any more, since 6.16",
	"protocol": "-P: there are no packets of any protocol; -M has what there is",
}

// methodFlags are the flags of how packets are made.
func (s *settings) methodFlags(f *pflag.FlagSet) {
	f.BoolVarP(&s.lite, "udplite", "L", false, "with -U: use UDP-Lite")
	f.StringSliceVarP(&s.module, "options", "O", nil, "`options` of -T: mss=NUM, info; help shows them")
	f.StringP("gateway", "g", "", "")
	f.BoolP("dccp", "D", false, "")
	f.StringP("protocol", "P", "", "")
	for name := range refused {
		_ = f.MarkHidden(name) // it is there
	}
}

func (s *settings) tracer() hops.Tracer {
	switch s.method {
	case "icmp":
		return trace.ICMP{Options: s.opt}
	case "tcp":
		return trace.TCP{Options: s.opt}
	}
	return trace.UDP{Options: s.opt}
}

func (s *settings) chooseMethod(f *pflag.FlagSet) error {
	for name, why := range refused {
		if f.Changed(name) {
			return errors.New(why)
		}
	}
	methods := 0
	for _, m := range []bool{s.icmp, s.tcp, s.udp, s.method != ""} {
		if m {
			methods++
		}
	}
	if methods > 1 {
		return errors.New("-I, -T, -U and -M do not go together")
	}
	switch s.method {
	case "udp", "udplite":
		s.udp, s.lite = true, s.lite || s.method == "udplite"
	case "icmp":
		s.icmp = true
	case "tcp", "tcpconn":
		s.tcp = true
	case "", "default":
	case "dccp":
		return errors.New(refused["dccp"])
	case "raw":
		return errors.New(refused["protocol"])
	default:
		return fmt.Errorf("unknown method %q", s.method)
	}
	s.method = map[bool]string{true: "icmp"}[s.icmp]
	if s.tcp {
		s.method = "tcp"
	}
	switch {
	case s.lite && !s.udp:
		return errors.New("-L goes with -U")
	case s.icmp && (s.opt.SourcePort != 0 || s.opt.FlowLabel != 0 || s.opt.DontRoute):
		return errors.New("--sport, -l and -r do not go with -I")
	case s.tcp && s.classic && s.opt.SourcePort != 0:
		return errors.New("with -T, --classic and --sport do not go together: connections from one port are one flow")
	case s.opt.FlowLabel > 0xfffff:
		return errors.New("a flow label is between 0 and 1048575")
	case s.mtu && (s.lite || s.opt.SourcePort != 0 || s.opt.FlowLabel != 0 || s.opt.DontRoute):
		return errors.New("-L, -l, -r and --sport do not go with --mtu")
	}
	s.opt.Lite = s.lite
	if err := s.choosePort(); err != nil {
		return err
	}
	return s.moduleOptions()
}

// choosePort reads -p.
func (s *settings) choosePort() error {
	if s.udp {
		s.opt.Port = 53
	}
	if s.port == "" {
		return nil
	}
	protocol := "udp"
	if s.tcp {
		protocol = "tcp"
	}
	if n, err := strconv.Atoi(s.port); err == nil && (n < 1 || n > 65535) {
		return errors.New("a port is between 1 and 65535")
	}
	if s.opt.Port = cli.ReadServices().Number(protocol, s.port); s.opt.Port == 0 {
		return fmt.Errorf("there is no service %q", s.port)
	}
	return nil
}

// moduleHelp says what -O knows, as the classic does.
func (s *settings) moduleHelp() string {
	if !s.tcp && !strings.HasPrefix(s.method, "tcp") {
		return "No options for this method\n"
	}
	return `  syn, sysctl, reuse          What the kernel does anyway
  mss=NUM                     Announce NUM as the maximum segment size
  info                        Print tcp flags of final tcp replies when target
                              host is reached
`
}

// moduleOptions reads those of -O. Connections of the kernel's making have no
// flags and no TCP options to choose but the segment size.
func (s *settings) moduleOptions() error {
	for _, w := range s.module {
		name, value, _ := strings.Cut(w, "=")
		switch {
		case s.tcp && (w == "syn" || w == "sysctl" || w == "reuse"):
		case s.tcp && w == "info":
			s.info = true
		case s.tcp && name == "mss":
			n, err := strconv.Atoi(value)
			if err != nil || n < 88 || n > 32767 {
				return fmt.Errorf("a maximum segment size is between 88 and 32767, not %q", value)
			}
			s.opt.MSS = n
		case s.tcp:
			return fmt.Errorf("-O %s: the kernel makes the packets of -T", w)
		default:
			return fmt.Errorf("-O %s: only -T has options", w)
		}
	}
	return nil
}

// flagsOf shows what ended a connection attempt, behind the address.
func flagsOf(r trace.Reply) string {
	return map[trace.Outcome]string{trace.OutcomeOpen: "<syn,ack>", trace.OutcomeRefused: "<rst,ack>"}[r.Outcome]
}
