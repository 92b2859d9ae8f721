package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/netsonde/netsonde/link"
)

// The interfaces of this machine that are set up but have no carrier.
func ExampleList() {
	links, err := link.List(context.Background(), nil)
	if errors.Is(err, link.ErrInterrupted) {
		fmt.Println("interfaces are changing; what follows may be out of date")
	} else if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range links {
		if l.AdminUp() && l.Carrier == link.CarrierOff {
			fmt.Println(l.Name, "has no carrier")
		}
	}
}

func ExampleGet() {
	_, err := link.Get(context.Background(), "nosuchiface0", nil)
	fmt.Println(errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported))
	// Output: true
}

// What was saved on one machine is inspected on another.
func ExampleRecorded() {
	saved := `[{
		"ifindex": 2, "ifname": "eth0", "link_type": "ether", "flags": ["UP", "BROADCAST", "MULTICAST"],
		"operstate": "down", "carrier": "off", "mtu": 1500, "address": "02:00:5e:10:00:01",
		"stats64": {"rx_packets": 12, "rx_crc_errors": 3},
		"addr_info": [{"prefix": "192.0.2.7/24", "scope": "global", "flags": ["permanent"], "valid_ns": -1}]
	}]`
	var recorded link.Recorded
	if err := json.Unmarshal([]byte(saved), &recorded); err != nil {
		fmt.Println(err)
		return
	}
	var source link.Inspector = recorded
	links, _ := source.Inspect(context.Background())
	for _, l := range links {
		fmt.Println(l.Name, l.Flags, "carrier", l.Carrier, l.HardwareAddr)
		for _, a := range l.Addresses {
			fmt.Println(a.Prefix, a.Scope, "forever:", a.Valid < 0)
		}
	}
	// Output:
	// eth0 UP|BROADCAST|MULTICAST carrier off 02:00:5e:10:00:01
	// 192.0.2.7/24 global forever: true
}

// Interfaces that lose their carrier, as it happens.
func ExampleWatch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for e, err := range link.Watch(ctx, nil) {
		switch {
		case err != nil:
			fmt.Println(err)
		case e.Change == link.ChangeChanged && e.Link != nil && e.OldLink.Carrier == link.CarrierOn && e.Link.Carrier == link.CarrierOff:
			fmt.Println(e.Name, "has lost its carrier")
		case e.Change == link.ChangeSynced:
			return // all there is now is known; a monitor goes on
		}
	}
}

// What an administrator does to bring an interface up.
func ExampleSet() {
	ctx := context.Background()
	const name = "nosuchiface0"
	err := link.AddAddress(ctx, name, link.Address{
		Prefix:    netip.MustParsePrefix("192.0.2.7/24"),
		Broadcast: link.Broadcast(netip.MustParsePrefix("192.0.2.7/24")),
	}, nil)
	if err == nil || errors.Is(err, os.ErrExist) {
		err = link.Set(ctx, name, link.Changes{SetFlags: link.FlagUp, MTU: 1400}, nil)
	}
	fmt.Println(errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported))
	// Output: true
}
