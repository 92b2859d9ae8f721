package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

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
