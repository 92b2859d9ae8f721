// Package ifaces is what the tools that show interfaces share: the interfaces
// in the order and under the names of ifconfig, and its layouts.
package ifaces

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/link"
)

// Interface is what ifconfig shows under one name: an interface, or an alias of
// one, which is no more than a labelled IPv4 address.
type Interface struct {
	link.Link
	Alias bool
	Inet  *link.Address // the first IPv4 address of the name
}

// List returns the interface of that name, or without one those that are up,
// or all, in ifconfig's order.
func List(ctx context.Context, name string, all bool) ([]Interface, error) {
	if name != "" {
		device, _, alias := strings.Cut(name, ":")
		l, err := link.Get(ctx, device, nil)
		if err != nil {
			return nil, err
		}
		i := Named(l, name)
		if alias && i.Inet == nil {
			return nil, &link.OpError{Op: "ifconfig: find alias", Target: name, Err: os.ErrNotExist}
		}
		if !alias { // which may have been an alternative name
			i = Named(l, l.Name)
		}
		return []Interface{i}, nil
	}
	links, err := link.List(ctx, nil)
	var list []Interface
	for _, l := range links {
		if all || l.AdminUp() {
			list = append(list, Named(l, l.Name))
		}
	}
	for _, l := range links {
		for _, a := range l.Addresses {
			if strings.Contains(a.Label, ":") && (all || l.AdminUp()) {
				list = append(list, Named(l, a.Label))
			}
		}
	}
	slices.SortStableFunc(list, compare)
	list = slices.CompactFunc(list, func(a, b Interface) bool { return a.Name == b.Name })
	return list, err
}

// Named is an interface under its own name or that of an alias.
func Named(l link.Link, name string) Interface {
	i := Interface{Link: l, Alias: strings.Contains(name, ":")}
	i.Name = name
	for n, a := range l.Addresses {
		if a.Prefix.Addr().Is4() && a.Label == name {
			i.Inet = &l.Addresses[n]
			break
		}
	}
	return i
}

// key is what ifconfig sorts a name by: eth2:1 is "eth", 2, 1.
type key struct {
	word          string
	number, alias int // -1: none
}

func keyOf(name string) (k key) {
	k.word, k.number = cutNumber(name)
	k.alias = -1
	if device, ok := strings.CutSuffix(k.word, ":"); ok && k.number >= 0 {
		k.alias = k.number
		k.word, k.number = cutNumber(device)
	}
	return k
}

// cutNumber cuts the number at the end of a name, -1 for none.
func cutNumber(name string) (word string, number int) {
	word = strings.TrimRight(name, "0123456789")
	number, err := strconv.Atoi(name[len(word):])
	if err != nil {
		return name, -1
	}
	return word, number
}

func compare(a, b Interface) int {
	x, y := keyOf(a.Name), keyOf(b.Name)
	return cmp.Or(cmp.Compare(x.word, y.word), cmp.Compare(x.number, y.number), cmp.Compare(x.alias, y.alias))
}
