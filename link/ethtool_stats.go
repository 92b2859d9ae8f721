package link

import (
	"context"
	"fmt"
	"strings"

	"github.com/netsonde/netsonde/internal/nl"
)

// StatGroup is a group of counters that standards name, so that every driver
// means the same by them (ETHTOOL_MSG_STATS_GET): "eth-phy", "eth-mac", "eth-ctrl" of IEEE
// 802.3 clause 30, "rmon" of RFC 2819. A driver tells only what it counts.
type StatGroup struct {
	Name  string `json:"name"`
	Stats []Stat `json:"stats,omitzero"`
	// Histograms of packet sizes, RMON only.
	Rx []Bucket `json:"rx_histogram,omitzero"`
	Tx []Bucket `json:"tx_histogram,omitzero"`
}

// Bucket counts packets of Low to High bytes.
type Bucket struct {
	Low   uint32 `json:"low"`
	High  uint32 `json:"high"` // 0: no limit
	Count uint64 `json:"count"`
}

// StandardStats asks for groups of counters by name, for all groups that the
// kernel has without any. A driver that counts nothing of them leaves a group
// empty.
func (d *Device) StandardStats(ctx context.Context, groups ...string) ([]StatGroup, error) {
	list, err := d.standardStats(ctx, groups)
	return list, d.failed("standard stats", err)
}

func (d *Device) standardStats(ctx context.Context, groups []string) (list []StatGroup, err error) {
	known, err := d.nameSet(ctx, setStandard)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		groups = known
	}
	body := nl.AppendNested(d.header(nil, 2, flagCompact), 3, func(b []byte) []byte {
		b = nl.Append(b, 1, nil) // a list of bits that are wanted, by name
		return nl.AppendNested(b, 3, func(b []byte) []byte {
			for _, g := range groups {
				b = nl.AppendNested(b, 1, func(b []byte) []byte { return nl.AppendText(b, 2, g) })
			}
			return b
		})
	})
	var raw []rawGroup
	err = d.ask(ctx, msgStatsGet, body, func(b []byte) error { raw = parseStats(b); return nil }, nil)
	if err != nil {
		return nil, err
	}
	for _, g := range raw {
		names, err := d.nameSet(ctx, g.set)
		if err != nil {
			return nil, err
		}
		list = append(list, g.named(at(known, int(g.id), "group"), names))
	}
	return list, nil
}

// rawGroup is a group whose counters have numbers.
type rawGroup struct {
	id, set uint32
	stats   []rawStat
	rx, tx  []Bucket
}

type rawStat struct {
	index uint16
	value uint64
}

func (g rawGroup) named(name string, names []string) StatGroup {
	group := StatGroup{Name: name, Rx: g.rx, Tx: g.tx}
	for _, s := range g.stats {
		group.Stats = append(group.Stats, Stat{at(names, int(s.index), "stat"), s.value})
	}
	return group
}

// parseStats reads ETHTOOL_A_STATS_*.
func parseStats(b []byte) (list []rawGroup) {
	for a := nl.NewAttrs(b); a.Next(); {
		if a.Type != 4 {
			continue
		}
		var g rawGroup
		for f := nl.NewAttrs(a.Data); f.Next(); {
			switch f.Type {
			case 2:
				nl.Set32(&g.id, f.Data)
			case 3:
				nl.Set32(&g.set, f.Data)
			case 4:
				for s := nl.NewAttrs(f.Data); s.Next(); {
					if v, ok := nl.U64(s.Data); ok {
						g.stats = append(g.stats, rawStat{s.Type, v})
					}
				}
			case 5:
				g.rx = append(g.rx, parseBucket(f.Data))
			case 6:
				g.tx = append(g.tx, parseBucket(f.Data))
			}
		}
		list = append(list, g)
	}
	return list
}

func parseBucket(b []byte) (k Bucket) {
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 7:
			nl.Set32(&k.Low, a.Data)
		case 8:
			nl.Set32(&k.High, a.Data)
		case 9:
			nl.Set64(&k.Count, a.Data)
		}
	}
	return k
}

// String returns "64-127" or "1519-".
func (k Bucket) String() string {
	if k.High == 0 {
		return fmt.Sprintf("%d-", k.Low)
	}
	return fmt.Sprintf("%d-%d", k.Low, k.High)
}

// lateCollisions finds the counter of late collisions, whatever its driver calls it.
func lateCollision(name string) bool {
	n := strings.ToLower(name)
	return strings.Contains(n, "late") && strings.Contains(n, "col")
}
