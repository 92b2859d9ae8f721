// Ethtool shows what a network card's driver tells, as ethtool(8) does.
//
//	ethtool eth0       speed, duplex mode, link modes, wake-on-LAN, link
//	ethtool -S eth0    the driver's own counters; --all-groups: those of standards
//	ethtool -i eth0    driver and firmware
//	ethtool -k eth0    offloads
//	ethtool -m eth0    what the plugged-in module says of itself
//	ethtool --check 10 eth0   what goes wrong there within ten seconds
//
// and -g -l -c -a -x -T -P, --show-fec, --show-eee, --show-priv-flags. Texts and exit
// codes are those of ethtool 6.1: 1, 71 for -i, 94 and 96 for -S, 75 when nothing
// at all is known; --check ends with 1 when something is wrong.
//
// Differences from ethtool: it only shows. An error that is the same for all
// questions is said once. Alternative names work everywhere, and several interfaces
// may be named. Of modules, flags of CMIS lanes, scaled laser currents, calibrations and
// long bit rates are those of the standards, which ethtool 6.1 misreads; what a module
// says not to measure is left out. --json works for everything but dumps and prints what
// the library returns, where the speed of a device made of software is marked "virtual";
// -v says so on standard error.
package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

func main() { cli.Main("ethtool", run) }

// options are the command line.
type options struct {
	*cli.Tool
	mode              *mode
	json, verbose     bool
	stats             bool // -I
	groups, allGroups bool
	check             *time.Duration
	names             []string // of interfaces
	words             []string // what follows the interface: groups, or words of -m
	dump              *dump    // what the words of -m ask for
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("ethtool", "[options] IF...", "Shows what a network card's driver tells.", stdout, stderr), mode: &settings}
	f := o.Flags
	var asked []*mode
	for i := range modes {
		m := &modes[i]
		f.VarPF(chosen{m, &asked}, m.long, m.short, m.usage).NoOptDefVal = "true"
		for _, other := range m.other {
			hidden := f.VarPF(chosen{m, &asked}, other, "", "")
			hidden.NoOptDefVal, hidden.Hidden = "true", true
		}
	}
	f.BoolVarP(&o.stats, "include-statistics", "I", false, "counters too, with -a and --show-fec")
	f.BoolVar(&o.groups, "groups", false, "with -S: the groups of counters that follow the interface")
	f.BoolVar(&o.allGroups, "all-groups", false, "with -S: every group that standards name")
	o.check = o.Seconds("check", "", 0, "look twice, so many seconds apart, and say what is wrong")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say which speeds are made up, and why a section is missing")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	for _, set := range setters {
		hidden := f.VarPF(setter{}, set[1], set[0], "")
		hidden.NoOptDefVal, hidden.Hidden = "true", true
	}
	code, done = o.Parse(args)
	if done {
		return o, code, true
	}
	o.names = f.Args()
	switch {
	case len(asked) > 1:
		return o, o.Usage("one question at a time: %s or %s", asked[0].flag(), asked[1].flag()), true
	case len(asked) == 1:
		o.mode = asked[0]
	}
	for _, set := range setters {
		if f.Changed(set[1]) {
			return o, o.Usage("this program only shows; to set: /sbin/ethtool %s", strings.Join(args, " ")), true
		}
	}
	if len(o.names) == 0 {
		return o, o.Usage("which interface?"), true
	}
	if o.groups || o.mode.words {
		o.names, o.words = o.names[:1], o.names[1:]
	}
	if err := o.checkWords(); err != nil {
		return o, o.Usage("%v", err), true
	}
	return o, 0, false
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	for i, name := range o.names {
		if i > 0 && !o.json {
			io.WriteString(stdout, "\n")
		}
		if c := o.show(ctx, name); c != 0 && code == 0 {
			code = c
		}
	}
	return code
}

// show answers the question for one interface.
func (o *options) show(ctx context.Context, name string) int {
	if o.Flags.Changed("check") {
		return o.find(ctx, name)
	}
	d, err := link.OpenDevice(ctx, name, nil)
	if err != nil {
		return o.absent(err)
	}
	defer d.Close()
	r := link.EthtoolReport{PermAddr: d.PermAddr()}
	r.Index, r.Name = d.Index, d.Name
	o.mode.ask(ctx, o, d, &r)
	if ctx.Err() != nil {
		return o.Fail(context.Cause(ctx))
	}
	if o.json {
		print := cli.PrintJSON
		if len(o.names) > 1 {
			print = cli.JSONLine
		}
		if err := print(o.Stdout, r); err != nil {
			return o.Fail(err)
		}
		return o.errors(&r)
	}
	code := o.errors(&r)
	var out strings.Builder
	if c := o.mode.print(&out, o, &r); code == 0 {
		code = c
	}
	if _, err := io.WriteString(o.Stdout, out.String()); err != nil {
		return o.Fail(err)
	}
	return code
}
