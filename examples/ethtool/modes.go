package main

import (
	"context"
	"errors"
	"strings"

	"github.com/netsonde/netsonde/link"
)

// mode is a question, its option, and how the answer is printed.
type mode struct {
	short, long string
	other       []string // long names that mean the same
	usage       string
	section     link.Section
	words       bool // words may follow the interface
	ask         func(context.Context, *options, *link.Device, *link.EthtoolReport)
	// print writes the answer and returns the exit code; it is called when there is none, too.
	print func(*strings.Builder, *options, *link.EthtoolReport) int
}

func (m *mode) flag() string {
	if m.short != "" {
		return "-" + m.short
	}
	return "--" + m.long
}

// settings is the question without an option.
var settings = mode{
	section: link.SectionLinkModes,
	ask: func(ctx context.Context, _ *options, d *link.Device, r *link.EthtoolReport) {
		s, err := d.Settings(ctx)
		r.Settings = s
		if err != nil {
			fail(r, link.SectionLinkModes, err)
		}
	},
	print: printSettings,
}

var modes = []mode{
	{short: "a", long: "show-pause", usage: "flow control", section: link.SectionPause,
		ask: askPause, print: printPause},
	{short: "c", long: "show-coalesce", usage: "interrupt moderation", section: link.SectionCoalesce,
		ask: one(link.SectionCoalesce, (*link.Device).Coalesce, func(r *link.EthtoolReport) **link.Coalesce { return &r.Coalesce }), print: printCoalesce},
	{short: "g", long: "show-ring", usage: "sizes of the queues", section: link.SectionRings,
		ask: one(link.SectionRings, (*link.Device).Rings, func(r *link.EthtoolReport) **link.Rings { return &r.Rings }), print: printRings},
	{short: "i", long: "driver", usage: "driver and firmware", section: link.SectionDriver,
		ask: one(link.SectionDriver, (*link.Device).Driver, func(r *link.EthtoolReport) **link.DriverInfo { return &r.Driver }), print: printDriver},
	{short: "k", long: "show-features", other: []string{"show-offload"}, usage: "offloads", section: link.SectionFeatures,
		ask: func(ctx context.Context, _ *options, d *link.Device, r *link.EthtoolReport) {
			var err error
			r.Features, err = d.Features(ctx)
			fail(r, link.SectionFeatures, err)
		}, print: printFeatures},
	{short: "l", long: "show-channels", usage: "numbers of queues", section: link.SectionChannels,
		ask: one(link.SectionChannels, (*link.Device).Channels, func(r *link.EthtoolReport) **link.Channels { return &r.Channels }), print: printChannels},
	{short: "m", long: "dump-module-eeprom", other: []string{"module-info"}, usage: "the plugged-in module; IF hex on: its memory", words: true,
		section: link.SectionModule, ask: askModule, print: printModule},
	{short: "P", long: "show-permaddr", usage: "the address that is burnt in", section: link.SectionNone,
		ask: func(context.Context, *options, *link.Device, *link.EthtoolReport) {}, print: printPermAddr},
	{short: "S", long: "statistics", usage: "the driver's counters", section: link.SectionStats, ask: askStats, print: printStats},
	{short: "T", long: "show-time-stamping", usage: "who can stamp packets", section: link.SectionTimestamping,
		ask: one(link.SectionTimestamping, (*link.Device).Timestamping, func(r *link.EthtoolReport) **link.Timestamping { return &r.Timestamping }), print: printTimestamping},
	{short: "x", long: "show-rxfh-indir", other: []string{"show-rxfh"}, usage: "how flows are spread over queues", section: link.SectionRSS,
		ask: one(link.SectionRSS, (*link.Device).RSS, func(r *link.EthtoolReport) **link.RSS { return &r.RSS }), print: printRSS},
	{long: "show-fec", usage: "forward error correction", section: link.SectionFEC,
		ask: one(link.SectionFEC, (*link.Device).FEC, func(r *link.EthtoolReport) **link.FEC { return &r.FEC }), print: printFEC},
	{long: "show-eee", usage: "Energy-Efficient Ethernet", section: link.SectionEEE,
		ask: one(link.SectionEEE, (*link.Device).EEE, func(r *link.EthtoolReport) **link.EEE { return &r.EEE }), print: printEEE},
	{long: "show-priv-flags", usage: "switches that only this driver has", section: link.SectionPrivateFlags,
		ask: func(ctx context.Context, _ *options, d *link.Device, r *link.EthtoolReport) {
			var err error
			r.PrivateFlags, err = d.PrivateFlags(ctx)
			fail(r, link.SectionPrivateFlags, err)
		}, print: printPrivateFlags},
}

// one asks for a section that is one value.
func one[T any](s link.Section, ask func(*link.Device, context.Context) (T, error), to func(*link.EthtoolReport) **T) func(context.Context, *options, *link.Device, *link.EthtoolReport) {
	return func(ctx context.Context, _ *options, d *link.Device, r *link.EthtoolReport) {
		v, err := ask(d, ctx)
		if err == nil {
			*to(r) = &v
		}
		fail(r, s, err)
	}
}

// askPause asks for link modes too: what is negotiated follows from them.
func askPause(ctx context.Context, o *options, d *link.Device, r *link.EthtoolReport) {
	one(link.SectionPause, (*link.Device).Pause, func(r *link.EthtoolReport) **link.Pause { return &r.Pause })(ctx, o, d, r)
	if r.Pause != nil {
		if m, err := d.LinkModes(ctx); err == nil {
			r.Modes = &m
		}
	}
}

func askStats(ctx context.Context, o *options, d *link.Device, r *link.EthtoolReport) {
	var err error
	if o.groups || o.allGroups {
		r.Standard, err = d.StandardStats(ctx, o.words...)
		fail(r, link.SectionStandard, err)
		return
	}
	r.DriverStats, err = d.DriverStats(ctx)
	fail(r, link.SectionStats, err)
}

// checkWords looks at what follows the interface.
func (o *options) checkWords() error {
	switch {
	case o.mode.words:
		return o.parseDump()
	case (o.groups || o.allGroups) && o.mode.section != link.SectionStats:
		return errors.New("groups of counters are asked for with -S")
	case o.groups && len(o.words) == 0:
		return errors.New("which groups? such as eth-mac")
	}
	return nil
}

// fail notes the error of a section.
func fail(r *link.EthtoolReport, s link.Section, err error) {
	if err == nil || r.Errors.Of(s) != nil {
		return
	}
	if e, ok := errors.AsType[*link.OpError](err); ok {
		err = e.Err
	}
	r.Errors = append(r.Errors, link.SectionError{Section: s, Err: err})
}

// chosen is the option of a mode: several are told apart by their order.
type chosen struct {
	mode  *mode
	asked *[]*mode
}

func (c chosen) Set(string) error {
	*c.asked = append(*c.asked, c.mode)
	return nil
}
func (c chosen) String() string { return "" }
func (c chosen) Type() string   { return "bool" }

// setters are what ethtool sets and this program does not.
var setters = [][2]string{
	{"s", "change"}, {"A", "pause"}, {"C", "coalesce"}, {"G", "set-ring"}, {"K", "features"}, {"L", "set-channels"}, {"E", "change-eeprom"},
	{"t", "test"}, {"p", "identify"}, {"r", "negotiate"}, {"X", "set-rxfh-indir"}, {"N", "config-nfc"}, {"", "set-fec"}, {"", "set-eee"},
	{"", "set-priv-flags"}, {"f", "flash"}, {"", "reset"}, {"", "offload"},
}

type setter struct{}

func (setter) Set(string) error { return nil }
func (setter) String() string   { return "" }
func (setter) Type() string     { return "bool" }
