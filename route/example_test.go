package route_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/netsonde/netsonde/route"
)

// Where does a packet go, and who gets it next?
func ExampleLookup() {
	d, err := route.Lookup(context.Background(), netip.MustParseAddr("127.0.0.1"), nil)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("forward local 127.0.0.1") // not Linux
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Outcome, d.Route.Type, d.NextHop())
	// Output: forward local 127.0.0.1
}

// A packet that goes nowhere, and why.
func ExampleDecision() {
	var d route.Decision
	recorded := `{
		"dst": "198.51.100.1", "outcome": "prohibit", "error": "permission denied",
		"route": {"family": "inet", "type": "prohibit", "dst": "198.51.100.0/24", "table": 254, "protocol": "static", "scope": "global"}
	}`
	if err := json.Unmarshal([]byte(recorded), &d); err != nil {
		fmt.Println(err)
		return
	}
	switch {
	case d.Outcome == route.OutcomeForward:
		fmt.Println("to", d.NextHop(), "on", d.Route.Device)
	case d.Rule != nil:
		fmt.Println(d.Dst, d.Outcome, "by the rule of priority", d.Rule.Priority)
	case d.Route.Dst.IsValid():
		fmt.Println(d.Dst, d.Outcome, "by the route to", d.Route.Dst, "in table", d.Route.Table)
	default:
		fmt.Println(d.Dst, d.Outcome)
	}
	// Output: 198.51.100.1 prohibit by the route to 198.51.100.0/24 in table 254
}

// The default routes of the main table.
func ExampleAll() {
	for r, err := range route.All(context.Background(), &route.Options{Table: 254, Type: route.TypeUnicast}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		if !r.Default() {
			continue
		}
		for _, h := range r.NextHops {
			fmt.Println(h.Gateway, h.Device, r.Metric)
		}
	}
}

// The neighbours that do not answer.
func ExampleNeighbors() {
	neighbors, err := route.Neighbors(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range neighbors {
		if !n.State.Usable() {
			fmt.Println(n.Addr, n.Device, n.State)
		}
	}
}

// A copy of the main table that stays right.
func ExampleWatch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	gateways := map[netip.Prefix]netip.Addr{}
	for e, err := range route.Watch(ctx, &route.WatchOptions{Table: 254}) {
		switch {
		case err != nil:
			fmt.Println(err)
		case e.Change == route.ChangeAdded, e.Change == route.ChangeChanged:
			gateways[e.Route.Dst] = e.Route.Gateway
		case e.Change == route.ChangeDeleted:
			delete(gateways, e.Route.Dst)
		case e.Change == route.ChangeLost:
			fmt.Println("too slow; reading the table again")
		case e.Change == route.ChangeSynced:
			return // all there is now is known; a monitor goes on
		}
	}
}

// The default gateway, as an administrator sets it.
func ExampleReplace() {
	err := route.Replace(context.Background(), route.Route{
		Dst:     netip.MustParsePrefix("0.0.0.0/0"),
		Gateway: netip.MustParseAddr("192.0.2.1"),
		Device:  "nosuchiface0",
	}, nil)
	switch {
	case errors.Is(err, os.ErrPermission):
		fmt.Println("this needs CAP_NET_ADMIN")
	case errors.Is(err, os.ErrNotExist), errors.Is(err, errors.ErrUnsupported):
		fmt.Println("there is no such interface")
	}
	// Output: there is no such interface
}
