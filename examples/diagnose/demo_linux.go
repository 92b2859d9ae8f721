package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

// demo is one network of the demonstration.
type demo struct {
	broken string // what was done to it, in words
	target string
	code   diagnose.Code // what has to be said about it; empty: nothing is wrong
	do     func(n *demoNetwork)
}

var demos = []demo{
	{"nothing: this network is in order", "web1:80", "", func(*demoNetwork) {}},
	{"the cable of the client is pulled", "web1:80", diagnose.LinkNoCarrier, func(n *demoNetwork) { n.cable.Down() }},
	{"the client has lost its default route", "web1:80", diagnose.RouteNoDefault, func(n *demoNetwork) { n.client.DelRoute("default") }},
	{"resolv.conf has lost its search line", "web1:80", diagnose.DNSSearchMissing, func(n *demoNetwork) { n.client.ResolvConf("nameserver 10.1.0.53\n") }},
	{"a firewall on the gateway resets port 80", "web1:80", diagnose.FWRejectRST, func(n *demoNetwork) {
		n.gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 80, Action: lab.RejectReset})
	}},
	{"the server is switched off", "web1:80", diagnose.PathHostUnreachable, func(n *demoNetwork) { n.web1.PowerOff() }},
	{"nothing listens on the port", "web1:8080", diagnose.SvcNotListening, func(*demoNetwork) {}},
}

// demoNetwork is client – gw – r2 – web1, with a name server beside the client.
type demoNetwork struct {
	client, ns, gw, r2, web1 *lab.Host
	cable                    *lab.Link
}

// runDemo builds each network and runs this very program inside it, without
// capabilities. Nothing leaves the machine and nothing of it is changed.
func runDemo(ctx context.Context, t *cli.Tool) int {
	lab.Child("diagnose", func(args []string) int {
		return run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	})
	code, err := lab.Isolated(func() int { return playAll(ctx, t) })
	if err != nil {
		return t.Fail(fmt.Errorf("the demonstration cannot build a network here: %w", err))
	}
	return code
}

func playAll(ctx context.Context, t *cli.Tool) int {
	paint, right := cli.Colors(t.Stdout), 0
	for i, d := range demos {
		fmt.Fprintf(t.Stdout, "%s\n\n", paint.Bold(fmt.Sprintf("── %d of %d: %s", i+1, len(demos), d.broken)))
		report, err := d.play(t.Stderr)
		if ctx.Err() != nil {
			return cli.Failed
		}
		if err == nil {
			err = printReport(t.Stdout, report, nil)
		}
		if err != nil {
			return t.Fail(err)
		}
		if report.Verdict.Code == d.code {
			right++
			fmt.Fprintln(t.Stdout)
		} else {
			fmt.Fprintf(t.Stdout, "%s\n\n", paint.Red("that is not what was done to it"))
		}
	}
	fmt.Fprintf(t.Stdout, "%d of %d named right\n", right, len(demos))
	if right < len(demos) {
		return cli.No
	}
	return cli.Yes
}

// play builds the network, breaks it, and asks what is wrong with it.
func (d demo) play(stderr io.Writer) (report diagnose.Report, err error) {
	err = lab.Play(func(s *lab.Stage) error {
		n := buildDemo(s)
		d.do(n)
		c := n.client.ChildCommand("diagnose", false, "--json", d.target)
		c.Stderr = stderr
		out, err := c.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != cli.No) {
			return err // anything but a cause that was found
		}
		return json.Unmarshal(out, &report)
	})
	return report, err
}

func buildDemo(s *lab.Stage) *demoNetwork {
	l := lab.New(s)
	n := &demoNetwork{client: l.Host("client"), ns: l.Host("ns"), gw: l.Router("gw"), r2: l.Router("r2"), web1: l.Host("web1")}
	lan := l.Switch("lan")
	n.cable = l.Connect(n.client.Port("eth0", "10.1.0.20/24"), lan.Port())
	l.Connect(n.ns.Port("eth0", "10.1.0.53/24"), lan.Port())
	l.Connect(n.gw.Port("lan", "10.1.0.1/24"), lan.Port())
	l.Connect(n.gw.Port("wan", "10.2.0.1/24"), n.r2.Port("wan", "10.2.0.2/24"))
	l.Connect(n.r2.Port("dmz", "10.3.0.1/24"), n.web1.Port("eth0", "10.3.0.80/24"))
	n.client.Route("default", "10.1.0.1")
	n.ns.Route("default", "10.1.0.1")
	n.gw.Route("default", "10.2.0.2")
	n.r2.Route("10.1.0.0/24", "10.2.0.1")
	n.web1.Route("default", "10.3.0.1")
	n.client.ResolvConf("search example.net\nnameserver 10.1.0.53\n")
	n.client.Hosts("127.0.0.1 localhost\n10.1.0.20 client.example.net client\n")
	zone := lab.Zone{Origin: ".", Recursive: true, Records: map[string][]string{"web1.example.net.": {"A 10.3.0.80"}}}
	n.ns.ServeDNS("10.1.0.53:53", zone.Answer)
	n.web1.ListenTCP("10.3.0.80:80", lab.Discard)
	return n
}
