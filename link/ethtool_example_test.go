package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/netsonde/netsonde/link"
)

// At which speed does the card run, and does the driver know it?
func ExampleEthtool() {
	r, err := link.Ethtool(context.Background(), "eth0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	switch {
	case r.Modes == nil:
		fmt.Println("no speed:", r.Errors.Of(link.SectionLinkModes))
	case r.Modes.Virtual:
		fmt.Println("made of software; its speed says nothing:", r.Modes.Speed)
	default:
		fmt.Println(r.Modes.Speed, r.Modes.Duplex, "duplex")
	}
	if err := r.Errors.Of(link.SectionWakeOnLAN); errors.Is(err, os.ErrPermission) {
		fmt.Println("wake-on-LAN is not told:", err)
	}
}

// The counters of a driver, in its order.
func ExampleOpenDevice() {
	ctx := context.Background()
	d, err := link.OpenDevice(ctx, "eth0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	stats, err := d.DriverStats(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println(d.Name, "has no counters of its own")
	}
	for _, s := range stats {
		fmt.Println(s.Name, s.Value)
	}
}

// Two samples of a card whose partner was set to full duplex by hand, as they
// were recorded.
func ExampleFindings() {
	before := link.Snapshot{Time: time.Unix(0, 0), Link: link.Link{Index: 2, Name: "eth0", Carrier: link.CarrierOn}, Report: &link.EthtoolReport{}}
	recorded := `{"ifname": "eth0", "link_modes": {"speed": 100, "duplex": "half", "autoneg": true}}`
	if err := json.Unmarshal([]byte(recorded), before.Report); err != nil {
		fmt.Println(err)
		return
	}
	after := before
	after.Time = time.Unix(10, 0)
	after.Link.Counters.TxWindowErrors = 42
	for _, f := range link.Findings(before, after) {
		fmt.Println(f.Kind, f.Counter, f.Grown, "sure:", f.Sure)
		fmt.Println(f.Text)
	}
	// Output:
	// errors tx_window_errors 42 sure: true
	// eth0 counts 42 tx_window_errors in 10s: late collisions: a duplex mismatch, or a cable that is too long
	// duplex_mismatch tx_window_errors 42 sure: false
	// eth0 is half duplex and sees late collisions (42): the other end is full duplex, or the cable too long
}

// The registers of a PHY that was forced to full duplex, while its partner offers
// half duplex.
func ExampleDecodeMII() {
	m := link.DecodeMII([]uint16{0x2100, 0x780d, 0x02a8, 0x0154, 0x05e1, 0x0081})
	fmt.Println(m.Product, "at", m.Speed, m.Duplex)
	fmt.Println(m.Summary())
	fmt.Println("partner:", m.Partner, "negotiates:", m.PartnerAutoneg)
	// Output:
	// Intel 82555 at 100Mb/s full
	// 100 Mbit, full duplex, link ok
	// partner: [100baseTx-HD] negotiates: false
}
