package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/route"
)

// mainTable is RT_TABLE_MAIN.
const mainTable = 254

// routingTable prints the main table of IPv4, as netstat -nr does.
func (o *options) routingTable(ctx context.Context) error {
	list, err := route.List(ctx, &route.Options{Family: route.FamilyIPv4, Table: mainTable})
	if err != nil && !errors.Is(err, route.ErrInterrupted) {
		return err
	}
	o.Error(err)
	if o.json {
		return cli.PrintJSON(o.Stdout, list)
	}
	var names *cli.Names
	if !o.numeric {
		names = cli.NewNames(ctx)
		defer names.Close()
		for _, r := range list {
			hostName(names, r.Dst.Addr())
			hostName(names, r.Gateway)
		}
		names.Wait(patience)
	}
	var out strings.Builder
	out.WriteString("Kernel IP routing table\nDestination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n")
	for _, r := range list {
		writeRoute(&out, r, names)
	}
	_, err = io.WriteString(o.Stdout, out.String())
	return err
}

func writeRoute(out *strings.Builder, r route.Route, names *cli.Names) {
	mask := net.IP(net.CIDRMask(r.Dst.Bits(), 32)).String()
	dst := hostName(names, r.Dst.Addr())
	if r.Default() && names != nil {
		dst = "default"
	}
	if refuses(r) {
		fmt.Fprintf(out, "%-15s %-15s %-15s %-9s - -          - -\n", dst, "-", mask, routeFlags(r))
		return
	}
	m := route.Metrics{}
	if r.Metrics != nil {
		m = *r.Metrics
	}
	mss := m.AdvMSS
	if mss != 0 {
		mss += 40 // as the kernel has it in /proc/net/route
	}
	hop := r.NextHops[0] // the classic table knows one way
	device := hop.Device
	if device == "" {
		device = "*"
	}
	fmt.Fprintf(out, "%-15s %-15s %-15s %-5s %5d %-5d %6d %s\n", dst, hostName(names, hop.Gateway), mask, routeFlags(r),
		mss, m.Window, m.RTT/8, device)
}

// hostName returns the name of an address, as far as it is known by now.
func hostName(names *cli.Names, a netip.Addr) string {
	if !a.Is4() {
		return "0.0.0.0" // on-link, or a gateway that the classic table cannot show
	}
	if names != nil && !a.IsUnspecified() {
		if name := names.Host(a); name != "" {
			return cli.Escape(name)
		}
	}
	return a.String()
}

func refuses(r route.Route) bool {
	return r.Type == route.TypeUnreachable || r.Type == route.TypeProhibit
}

// routeFlags are netstat's letters: up, refuses, gateway, host.
func routeFlags(r route.Route) string {
	flags := "U"
	if refuses(r) {
		flags = "!"
	}
	if r.NextHops[0].Gateway.IsValid() {
		flags += "G"
	}
	if r.Dst.Bits() == 32 {
		flags += "H"
	}
	return flags
}
