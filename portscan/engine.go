package portscan

import (
	"context"
	"iter"
	"net/netip"
)

type engine struct{}

func newEngine(context.Context, wire, Options) *engine { return &engine{} }

func (*engine) run(iter.Seq[netip.AddrPort], func(Result, error) bool) {}
