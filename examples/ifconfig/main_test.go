package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/link"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("ifconfig", func(args []string) int {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	})
	os.Exit(lab.Main(m))
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "Usage: ifconfig [options] [IF [WORD...]]\n", ""},
		{"--version", 0, "ifconfig ", ""},
		{"-Z", 2, "", "ifconfig: unknown option -Z; try --help\n"},
		{"eth0 mtu", 2, "", "ifconfig: mtu of what?; try --help\n"},
		{"eth0 mtu 0", 2, "", "ifconfig: 0: mtu is no number of them; try --help\n"},
		{"eth0 web1", 2, "", "ifconfig: web1: Unknown host; try --help\n"},
		{"eth0 192.0.2.1/33", 2, "", "ifconfig: 192.0.2.1/33: invalid prefix length; try --help\n"},
		{"eth0 192.0.2.1 netmask 255.0.255.0", 2, "", "ifconfig: 255.0.255.0: a netmask with holes; try --help\n"},
		{"eth0 add 2001:db8::g", 2, "", "ifconfig: 2001:db8::g/128: invalid IPv6 address; try --help\n"},
		{"eth0 metric 3", 2, "", "ifconfig: metric is not set here: Linux interfaces have no metric; routes do: route add … metric N; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0.0 B", 1024: "1024.0 B", 1025: "1.0 KiB", 1668374532: "1.5 GiB", 34073500057: "31.7 GiB", 1<<20 + 1: "1.0 MiB",
		1<<64 - 1: "16383.9 PiB",
	} {
		if got := size(n, "B"); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	var list []iface
	for _, name := range []string{"lo", "eth10", "eth2p", "eth2:x", "eth2", "br0", "eth2:1", "wlan0", "eth2:10", "eth", "eth2:2"} {
		list = append(list, iface{Link: link.Link{Name: name}})
	}
	slices.SortFunc(list, compare)
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	if diff := cmp.Diff("br0 eth eth2 eth2:1 eth2:2 eth2:10 eth10 eth2:x eth2p lo wlan0", strings.Join(names, " ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The layouts where no lab can go: real hardware with an interrupt, and numbers
// as they are on a machine that works.
func TestLayouts(t *testing.T) {
	i := iface{Link: link.Link{
		Name: "eth0", Type: link.TypeEther, MTU: 1500, TxQueueLen: 1000, HardwareAddr: link.HardwareAddr{0, 0x11, 0x22, 0x33, 0x44, 0x55},
		Flags: link.FlagUp | link.FlagBroadcast | link.FlagRunning | link.FlagMulticast | link.FlagLowerUp,
		Map:   &link.Map{IRQ: 16, MemStart: 0xf7c00000, MemEnd: 0xf7c20000},
		Counters: link.Counters{
			RxPackets: 16015427, TxPackets: 25563269, RxBytes: 1668374532, TxBytes: 34073500057, RxErrors: 10, RxDropped: 1, RxMissedErrors: 2,
			RxFIFOErrors: 3, RxLengthErrors: 1, RxOverErrors: 1, RxCRCErrors: 1, RxFrameErrors: 1, TxErrors: 6, TxDropped: 5, TxFIFOErrors: 7,
			TxCarrierErrors: 1, TxAbortedErrors: 1, TxWindowErrors: 1, TxHeartbeatErrors: 1, Collisions: 8,
		},
	}}
	i.inet = &link.Address{Prefix: netip.MustParsePrefix("10.1.1.1/24"), Broadcast: netip.MustParseAddr("10.1.1.255")}
	classic := `eth0      Link encap:Ethernet  HWaddr 00:11:22:33:44:55  
          inet addr:10.1.1.1  Bcast:10.1.1.255  Mask:255.255.255.0
          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1
          RX packets:16015427 errors:10 dropped:3 overruns:3 frame:4
          TX packets:25563269 errors:6 dropped:5 overruns:7 carrier:4
          collisions:8 txqueuelen:1000 
          RX bytes:1668374532 (1.5 GiB)  TX bytes:34073500057 (31.7 GiB)
          Interrupt:16 Memory:f7c00000-f7c20000 

`
	current := `eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500
        inet 10.1.1.1  netmask 255.255.255.0  broadcast 10.1.1.255
        ether 00:11:22:33:44:55  txqueuelen 1000  (Ethernet)
        RX packets 16015427  bytes 1668374532 (1.5 GiB)
        RX errors 10  dropped 3  overruns 3  frame 4
        TX packets 25563269  bytes 34073500057 (31.7 GiB)
        TX errors 6  dropped 5 overruns 7  carrier 4  collisions 8
        device interrupt 16  memory 0xf7c00000-f7c20000  

`
	for want, write := range map[string]func(*strings.Builder, iface){classic: writeClassic, current: writeCurrent} {
		var out strings.Builder
		if write(&out, i); out.String() != want {
			t.Errorf("(-want +got):\n%s", cmp.Diff(want, out.String()))
		}
	}
}
