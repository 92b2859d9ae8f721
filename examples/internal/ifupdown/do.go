package ifupdown

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/interfaces"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/route"
)

// errNotRun is of a step that somebody else has to do.
var errNotRun = errors.New("not run")

// do does one step. What is as it should be already is no error.
func do(ctx context.Context, s interfaces.Step) error {
	switch s.Do {
	case interfaces.ActionLink:
		c := link.Changes{MTU: s.MTU, HardwareAddr: s.HWAddr}
		if s.Up != nil && *s.Up {
			c.SetFlags = link.FlagUp
		} else if s.Up != nil {
			c.ClearFlags = link.FlagUp
		}
		return link.Set(ctx, s.Device, c, nil)
	case interfaces.ActionAddress, interfaces.ActionRemove:
		return address(ctx, s)
	case interfaces.ActionFlush:
		return flush(ctx, s)
	case interfaces.ActionGateway, interfaces.ActionReplace, interfaces.ActionWithdraw:
		return gateway(ctx, s)
	case interfaces.ActionSysctl:
		return sysctl(ctx, s)
	}
	return errNotRun
}

func address(ctx context.Context, s interfaces.Step) error {
	a := link.Address{Prefix: s.Prefix, Label: s.Label}
	if s.Peer.IsValid() {
		a.Peer = netip.PrefixFrom(s.Peer, s.Peer.BitLen()) // as ip has it
	}
	if s.Do == interfaces.ActionRemove {
		if err := link.DeleteAddress(ctx, s.Device, a, nil); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		_, err := link.Get(ctx, s.Device, nil) // it may be the interface that is not there
		return err
	}
	a.Broadcast = s.Broadcast
	if s.Scope != "" {
		if err := a.Scope.UnmarshalText([]byte(s.Scope)); err != nil {
			return operr.New("ifup: address", s.Prefix, err)
		}
	}
	if s.NoDAD {
		a.Flags |= link.AddressNoDAD
	}
	if s.Preferred != nil {
		a.Valid, a.Preferred = link.Forever, time.Duration(*s.Preferred)*time.Second
	}
	if err := link.AddAddress(ctx, s.Device, a, nil); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return settled(ctx, s)
}

// settled waits until the kernel has seen that nobody else has an IPv6 address.
// Where it does not look, there is nothing to wait for.
func settled(ctx context.Context, s interfaces.Step) error {
	for try := range s.Settle {
		if s.Every <= 0 {
			return nil
		}
		l, err := link.Get(ctx, s.Device, nil)
		if err != nil && !errors.Is(err, link.ErrInterrupted) {
			return err
		}
		i := slices.IndexFunc(l.Addresses, func(a link.Address) bool { return a.Prefix == s.Prefix })
		switch {
		case i >= 0 && l.Addresses[i].Flags&link.AddressDADFailed != 0:
			return operr.New("ifup: address", s.Prefix, errors.New("another host has it"))
		case i >= 0 && l.Addresses[i].Flags&link.AddressTentative == 0:
			return nil
		}
		if try == s.Settle-1 {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(s.Every * float64(time.Second))):
		}
	}
	if s.Settle > 0 {
		return operr.New("ifup: address", s.Prefix, errors.New("nobody knows yet whether another host has it (is there a carrier?); dad-attempts 0 does not wait"))
	}
	return nil
}

func flush(ctx context.Context, s interfaces.Step) error {
	l, err := link.Get(ctx, s.Device, nil)
	if err != nil && !errors.Is(err, link.ErrInterrupted) {
		return err
	}
	for _, a := range l.Addresses {
		if a.Prefix.Addr().Is4() != (s.Family == "inet") || s.Scope != "" && a.Scope.String() != s.Scope ||
			s.Value != "" && a.Flags&link.AddressManageTemp == 0 {
			continue
		}
		// With the first address of a network others may have gone.
		if err := link.DeleteAddress(ctx, s.Device, a, nil); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func gateway(ctx context.Context, s interfaces.Step) error {
	r := route.Route{Dst: netip.PrefixFrom(s.Gateway, 0).Masked(), Gateway: s.Gateway, Device: s.Device, Metric: s.Metric, Flags: route.FlagOnLink}
	switch s.Do {
	case interfaces.ActionReplace:
		return route.Replace(ctx, r, nil)
	case interfaces.ActionWithdraw:
		r.Flags = 0
		return route.Delete(ctx, r, nil)
	}
	err := route.Add(ctx, r, nil)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	// Another one may be in the way, or this one.
	list, listErr := route.List(ctx, &route.Options{Table: 254, Family: route.FamilyIPv4, Type: route.TypeUnicast})
	for _, have := range list {
		if listErr == nil && have.Dst == r.Dst && have.Metric == r.Metric && have.Gateway == r.Gateway && have.Device == r.Device {
			return nil
		}
	}
	return err
}

func sysctl(ctx context.Context, s interfaces.Step) error {
	if s.MTU != 0 { // that of IPv6 is not larger than the link's
		l, err := link.Get(ctx, s.Device, nil)
		if err != nil && !errors.Is(err, link.ErrInterrupted) {
			return err
		}
		if l.MTU < s.MTU {
			return link.Set(ctx, s.Device, link.Changes{MTU: s.MTU}, nil)
		}
	}
	err := os.WriteFile(filepath.Join("/proc/sys", s.Key), []byte(s.Value), 0)
	return operr.Need(err, "CAP_NET_ADMIN")
}

// client is the command line of the DHCP client that is installed.
func client(s interfaces.Step, up bool) string {
	version := "4"
	if s.Family == "inet6" {
		version = "6"
	}
	has := func(name string) bool { _, err := exec.LookPath(name); return err == nil }
	switch {
	case has("dhclient") && up:
		return fmt.Sprintf("dhclient -%s -v -pf /run/dhclient%s.%s.pid -lf /var/lib/dhcp/dhclient%[2]s.%[3]s.leases %[3]s", version, map[string]string{"6": "6"}[version], s.Device)
	case has("dhclient"):
		return fmt.Sprintf("dhclient -%s -v -r -pf /run/dhclient%s.%s.pid -lf /var/lib/dhcp/dhclient%[2]s.%[3]s.leases %[3]s", version, map[string]string{"6": "6"}[version], s.Device)
	case has("dhcpcd") && up:
		return fmt.Sprintf("dhcpcd -%s %s", version, s.Device)
	case has("dhcpcd"):
		return fmt.Sprintf("dhcpcd -%s -k %s", version, s.Device)
	case has("udhcpc") && version == "4" && up:
		return fmt.Sprintf("udhcpc -n -p /run/udhcpc.%s.pid -i %[1]s", s.Device)
	case has("udhcpc") && version == "4":
		return fmt.Sprintf("kill $(cat /run/udhcpc.%s.pid)", s.Device)
	}
	return s.Text + ": none of dhclient, dhcpcd and udhcpc is installed"
}
