//go:build !linux

package route

import (
	"context"
	"iter"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func list(context.Context, *Options) ([]Route, error) { return nil, operr.Unsupported("route: list") }

func all(context.Context, *Options) iter.Seq2[Route, error] {
	return func(yield func(Route, error) bool) { yield(Route{}, operr.Unsupported("route: list")) }
}

func rules(context.Context, *Options) ([]Rule, error) { return nil, operr.Unsupported("route: rules") }

func neighbors(context.Context, *NeighborOptions) ([]Neighbor, error) {
	return nil, operr.Unsupported("route: neighbors")
}

func lookup(context.Context, netip.Addr, *LookupOptions) (Decision, error) {
	return Decision{}, operr.Unsupported("route: lookup")
}

func watch(context.Context, *WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { yield(Event{}, operr.Unsupported("route: watch")) }
}

func change(_ context.Context, op string, _ changeKind, _ Route, _ *Options) error {
	return operr.Unsupported(op)
}

func nextHopObjects(context.Context, *Options) ([]NextHopObject, error) {
	return nil, operr.Unsupported("route: next hop objects")
}
