package link

import (
	"context"

	"github.com/netsonde/netsonde/internal/nl"
)

// PrivateFlag is a switch that only this driver has.
type PrivateFlag struct {
	Name string `json:"name"`
	On   bool   `json:"on"`
}

// Feature is an offload of the kernel (NETIF_F_*).
type Feature struct {
	Name      string `json:"name"`
	Active    bool   `json:"active"`
	Requested bool   `json:"requested"` // what was asked for; something else may keep it from being active
	// Fixed: cannot be changed, because the driver has no switch for it or the
	// kernel forbids one.
	Fixed bool `json:"fixed"`
}

// PrivateFlags asks for the switches that only this driver has.
func (d *Device) PrivateFlags(ctx context.Context) (list []PrivateFlag, err error) {
	names, err := d.stringSet(ctx, setPrivFlags)
	if err == nil {
		err = d.ask(ctx, msgPrivFlagsGet, nil, func(b []byte) error { list = parsePrivateFlags(b, names); return nil },
			func() (err error) { list, err = d.ioctlPrivateFlags(names); return err })
	}
	return list, d.failed("private flags", err)
}

func parsePrivateFlags(b []byte, names []string) (list []PrivateFlag) {
	for a := nl.NewAttrs(b); a.Next(); {
		if a.Type == 2 {
			set := parseBitset(a.Data)
			on := set.words(set.value, names)
			for _, name := range set.words(set.mask, names) {
				list = append(list, PrivateFlag{name, on.Has(name)})
			}
			if len(set.mask) == 0 { // a set without mask: the words say what there is
				for _, name := range names {
					list = append(list, PrivateFlag{name, on.Has(name)})
				}
			}
		}
	}
	return list
}

// Features asks for the offloads, in the order of the kernel.
func (d *Device) Features(ctx context.Context) (list []Feature, err error) {
	names, err := d.nameSet(ctx, setFeatures)
	if err == nil {
		err = d.ask(ctx, msgFeaturesGet, nil, func(b []byte) error { list = parseFeatures(b, names); return nil },
			func() (err error) { list, err = d.ioctlFeatures(names); return err })
	}
	return list, d.failed("features", err)
}

func parseFeatures(b []byte, names []string) (list []Feature) {
	var hw, wanted, active, never bitset
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 2:
			hw = parseBitset(a.Data)
		case 3:
			wanted = parseBitset(a.Data)
		case 4:
			active = parseBitset(a.Data)
		case 5:
			never = parseBitset(a.Data)
		}
	}
	return features(names, hw.value, wanted.value, active.value, never.value)
}

func features(names []string, hw, wanted, active, never []uint32) (list []Feature) {
	on := make([]struct{ hw, wanted, active, never bool }, len(names))
	for _, i := range hw {
		if int(i) < len(on) {
			on[i].hw = true
		}
	}
	for _, i := range wanted {
		if int(i) < len(on) {
			on[i].wanted = true
		}
	}
	for _, i := range active {
		if int(i) < len(on) {
			on[i].active = true
		}
	}
	for _, i := range never {
		if int(i) < len(on) {
			on[i].never = true
		}
	}
	for i, name := range names {
		if name != "" {
			list = append(list, Feature{Name: name, Active: on[i].active, Requested: on[i].wanted, Fixed: !on[i].hw || on[i].never})
		}
	}
	return list
}
