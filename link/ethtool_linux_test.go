package link

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ethtool"

	"github.com/netsonde/netsonde/internal/lab"
)

// ethtoolHost has one of each device that this kernel makes.
func ethtoolHost(t *testing.T) (host *lab.Host, names []string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip")
	}
	host = lab.New(t).Host("host")
	cmd := host.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(`link add veth0 numtxqueues 3 numrxqueues 2 type veth peer name veth1
tuntap add tap0 mode tap
tuntap add tun0 mode tun
link add br0 type bridge
link add vxlan0 type vxlan id 4 dstport 4789
link add ifb0 type ifb
link add macvlan0 link veth0 type macvlan
link property add dev veth0 altname an-alternative-name-of-veth0
link set veth0 up
link set veth1 up
`)
	cmd.Run()
	for _, set := range []string{"tap0 speed 100 duplex half autoneg off port mii", "tap0 msglvl 0x8007", "tun0 speed 1000 duplex full"} {
		host.Command("ethtool", append([]string{"-s"}, strings.Fields(set)...)...).Run() // without the tool all are as they begin
	}
	do(t, host, func() error { // not every user may make every device
		links, err := List(t.Context(), nil)
		for _, l := range links {
			names = append(names, l.Name)
		}
		return err
	})
	return host, names
}

// needTun is for tests that are about a tap device.
func needTun(t *testing.T, names []string) {
	t.Helper()
	if !slices.Contains(names, "tap0") {
		t.Skip("needs to write /dev/net/tun")
	}
}

func do(t *testing.T, host *lab.Host, fn func() error) {
	t.Helper()
	if err := host.Do(fn); err != nil {
		t.Fatal(err)
	}
}

// Netlink and ioctl(2) are two ways through the kernel: each device says the
// same over both, as far as ioctl can say it.
func TestNetlinkAgainstIoctl(t *testing.T) {
	host, names := ethtoolHost(t)
	do(t, host, func() error {
		for _, name := range names {
			d, err := OpenDevice(t.Context(), name, nil)
			if err != nil {
				return err
			}
			defer d.Close()
			if len(d.ops) == 0 {
				t.Skip("needs a kernel with ethtool over netlink")
			}
			over, err := d.Report(t.Context())
			if err != nil {
				return err
			}
			d.ops, d.names = nil, nil
			by, err := d.Report(t.Context())
			if err != nil {
				return err
			}
			sameGround(&over)
			sameGround(&by)
			ignoreErrors := cmp.Comparer(func(a, b Errors) bool { return true })
			if diff := cmp.Diff(over, by, ignoreErrors); diff != "" {
				t.Errorf("%s (-netlink +ioctl):\n%s", name, diff)
			}
		}
		return nil
	})
}

// sameGround takes away what only one of the two ways tells.
func sameGround(r *EthtoolReport) {
	r.Standard, r.FEC, r.EEE = nil, nil, nil
	if c := r.Coalesce; c != nil { // ioctl has zero for what is not there
		r.Coalesce = &Coalesce{RxFrames: c.RxFrames}
	}
	if c := r.Channels; c != nil { // and drops counts without a limit
		r.Channels = &Channels{RxMax: c.RxMax, TxMax: c.TxMax, CombinedMax: c.CombinedMax}
	}
	if r.Wake != nil && len(r.Wake.Supported) == 0 {
		r.Wake = nil
	}
	if r.Timestamping != nil {
		r.Timestamping.Unknown = nil
	}
}

// mdlayher/ethtool says the same where it is right: port, link, and the speed and
// what is advertised of a device that knows its speed.
func TestAgainstMdlayher(t *testing.T) {
	host, names := ethtoolHost(t)
	compared := 0
	do(t, host, func() error {
		c, err := ethtool.New()
		if err != nil {
			return err
		}
		defer c.Close()
		for _, name := range names {
			d, err := OpenDevice(t.Context(), name, nil)
			if err != nil {
				return err
			}
			defer d.Close()
			ifi := ethtool.Interface{Name: name}
			if theirs, err := c.LinkState(ifi); err == nil {
				ours, err := d.LinkState(t.Context())
				if err != nil && !errors.Is(err, errors.ErrUnsupported) || ours.Detected != theirs.Link {
					t.Errorf("%s: link %+v, %v; mdlayher %+v", name, ours, err, theirs)
				}
				compared++
			}
			if theirs, err := c.LinkInfo(ifi); err == nil {
				ours, err := d.LinkInfo(t.Context())
				if err != nil || uint8(ours.Port)-1 != uint8(theirs.Port) {
					t.Errorf("%s: info %+v, %v; mdlayher %+v", name, ours, err, theirs)
				}
				compared++
			}
			if theirs, err := c.LinkMode(ifi); err == nil {
				ours, err := d.LinkModes(t.Context())
				if err != nil || speedOf(uint32(theirs.SpeedMegabits)) != ours.Speed || int(uint8(ours.Duplex)-1) != int(theirs.Duplex) || len(ours.Advertised) != len(theirs.Ours) {
					t.Errorf("%s: modes %+v, %v; mdlayher %+v", name, ours, err, theirs)
				}
				compared++
			}
		}
		return nil
	})
	if compared < 10 {
		t.Errorf("%d compared", compared)
	}
}

// Everything on these devices is made of software, and says so.
func TestVirtual(t *testing.T) {
	host, names := ethtoolHost(t)
	for _, name := range names {
		do(t, host, func() error {
			d, err := OpenDevice(t.Context(), name, nil)
			if err != nil {
				return err
			}
			defer d.Close()
			if !d.Virtual() {
				t.Errorf("%s passes for hardware", name)
			}
			return nil
		})
	}
}

func TestDeviceErrors(t *testing.T) {
	host, _ := ethtoolHost(t)
	do(t, host, func() error {
		for _, name := range []string{"nosuch0", "", strings.Repeat("x", 15), strings.Repeat("x", 200)} {
			if _, err := Ethtool(t.Context(), name, nil); !errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%q: %v", name, err)
			}
		}
		d, err := OpenDevice(t.Context(), "an-alternative-name-of-veth0", nil)
		if err != nil {
			return err
		}
		defer d.Close()
		if d.Name != "veth0" || d.Kind != "veth" {
			t.Errorf("%+v", d)
		}
		if stats, err := d.DriverStats(t.Context()); err != nil || len(stats) < 2 || stats[0].Name != "peer_ifindex" {
			t.Errorf("%v, %v", stats, err)
		}
		if _, err := d.Rings(t.Context()); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrNotExist) {
			t.Errorf("rings: %v", err)
		}
		if out, err := host.Command("ip", "link", "del", "veth0").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if _, err := d.Settings(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("gone: %v", err)
		}
		if _, err := d.DriverStats(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("gone: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Ethtool(ctx, "lo", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		return nil
	})
}

// Nobody gets all but what wakes the machine.
func TestEthtoolUnprivileged(t *testing.T) {
	host, names := ethtoolHost(t)
	needTun(t, names)
	if err := host.DoUnprivileged(func() error {
		r, err := Ethtool(t.Context(), "tap0", nil)
		if err != nil {
			return err
		}
		if r.Modes == nil || !r.Modes.Virtual || r.Info == nil || r.State == nil || r.Driver == nil || r.Driver.Driver != "tun" || len(r.Features) < 20 || r.Coalesce == nil {
			t.Errorf("%+v", r)
		}
		if err := r.Errors.Of(SectionWakeOnLAN); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("wake-on-LAN: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Interfaces that come, go and take each other's names while they are asked:
// each answer is about the one that was opened, or that it is gone.
func TestDeviceChurn(t *testing.T) {
	host, _ := ethtoolHost(t)
	churn := func(lines ...string) {
		cmd := host.Command("ip", "-force", "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
		cmd.Run()
	}
	do(t, host, func() error {
		churn("link add ifb9 type ifb", "link add br9 type bridge")
		d, err := OpenDevice(t.Context(), "ifb9", nil)
		if err != nil {
			return err
		}
		defer d.Close()
		churn("link set ifb9 name ifb8", "link set br9 name ifb9")
		if i, err := d.Driver(t.Context()); err != nil || i.Driver != "ifb" {
			t.Errorf("renamed: %+v, %v", i, err)
		}
		churn("link del ifb8")
		if i, err := d.Driver(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("gone, and its name taken: %+v, %v", i, err)
		}
		stop := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					churn("link add ifb9 type ifb", "link del ifb9", "tuntap add ifb9 mode tap", "tuntap del ifb9 mode tap")
				}
			}
		})
		for range 200 {
			if r, err := Ethtool(t.Context(), "ifb9", nil); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%+v, %v", r, err)
			}
		}
		close(stop)
		group.Wait()
		return nil
	})
}

// A cable that is pulled between two samples.
func TestSampleFlapping(t *testing.T) {
	host, _ := ethtoolHost(t)
	do(t, host, func() error {
		before, err := Sample(t.Context(), "veth0", nil)
		if err != nil {
			return err
		}
		for _, state := range []string{"down", "up", "down"} {
			if out, err := host.Command("ip", "link", "set", "veth1", state).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
		}
		after, err := Sample(t.Context(), "veth0", nil)
		if err != nil {
			return err
		}
		var kinds []FindingKind
		for _, f := range Findings(before, after) {
			if f.Kind != FindingDrops { // of the kernel's own packets
				kinds = append(kinds, f.Kind)
			}
		}
		if diff := cmp.Diff([]FindingKind{FindingNoLink, FindingVirtualSpeed, FindingFlapping}, kinds); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if after.MII == nil || !after.MII.Derived || after.Report.Errors.Of(SectionModule) == nil {
			t.Errorf("%+v", after)
		}
		return nil
	})
}

// From another namespace, by many at once, each its own device.
func TestEthtoolNetNS(t *testing.T) {
	host, names := ethtoolHost(t)
	ns, err := os.Open(host.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			name := names[i%len(names)]
			r, err := Ethtool(t.Context(), name, &Options{NetNS: int(ns.Fd())})
			if err != nil || r.Name != name || len(r.Features) < 20 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			if name == "tun0" && r.Driver == nil {
				t.Errorf("%s: %v", name, r.Errors)
			}
		})
	}
	group.Wait()
}

func BenchmarkEthtool(b *testing.B) {
	d, err := OpenDevice(b.Context(), "lo", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Report(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
