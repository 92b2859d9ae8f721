package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// groups are the names that offloads had before each got one of its own, and
// what belongs to them, as a pattern.
var groups = [][2]string{
	{"rx-checksumming", "rx-checksum"}, {"tx-checksumming", "tx-checksum-*"}, {"scatter-gather", "tx-scatter-gather*"},
	{"tcp-segmentation-offload", "tx-tcp*-segmentation"}, {"udp-fragmentation-offload", "tx-udp-fragmentation"},
	{"generic-segmentation-offload", "tx-generic-segmentation"}, {"generic-receive-offload", "rx-gro"}, {"large-receive-offload", "rx-lro"},
	{"rx-vlan-offload", "rx-vlan-hw-parse"}, {"tx-vlan-offload", "tx-vlan-hw-insert"}, {"ntuple-filters", "rx-ntuple-filter"},
	{"receive-hashing", "rx-hashing"},
}

func printFeatures(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	if len(r.Features) == 0 {
		return 0
	}
	fmt.Fprintf(b, "Features for %s:\n", cli.Escape(r.Name))
	grouped := map[string]bool{}
	for _, g := range groups {
		var members []link.Feature
		active := false
		for _, f := range r.Features {
			if ok, _ := path.Match(g[1], f.Name); ok {
				members = append(members, f)
				grouped[f.Name] = true
				active = active || f.Active
			}
		}
		switch {
		case len(members) == 0:
		case !strings.Contains(g[1], "*"):
			writeFeature(b, g[0], members[0])
		default:
			fmt.Fprintf(b, "%s: %s\n", g[0], onOff(active))
			for _, f := range members {
				writeFeature(b, "\t"+cli.Escape(f.Name), f)
			}
		}
	}
	for _, f := range r.Features {
		if !grouped[f.Name] {
			writeFeature(b, cli.Escape(f.Name), f)
		}
	}
	return 0
}

func writeFeature(b *strings.Builder, name string, f link.Feature) {
	text := onOff(f.Active)
	switch {
	case f.Fixed:
		text += " [fixed]"
	case f.Active != f.Requested:
		text += fmt.Sprintf(" [requested %s]", onOff(f.Requested))
	}
	fmt.Fprintf(b, "%s: %s\n", name, text)
}
