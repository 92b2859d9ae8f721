package ifaces

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/leak"
	"github.com/netsonde/netsonde/link"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

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
	var list []Interface
	for _, name := range []string{"lo", "eth10", "eth2p", "eth2:x", "eth2", "br0", "eth2:1", "wlan0", "eth2:10", "eth", "eth2:2"} {
		list = append(list, Interface{Link: link.Link{Name: name}})
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
	i := Interface{Link: link.Link{
		Name: "eth0", Type: link.TypeEther, MTU: 1500, TxQueueLen: 1000, HardwareAddr: link.HardwareAddr{0, 0x11, 0x22, 0x33, 0x44, 0x55},
		Flags: link.FlagUp | link.FlagBroadcast | link.FlagRunning | link.FlagMulticast | link.FlagLowerUp,
		Map:   &link.Map{IRQ: 16, MemStart: 0xf7c00000, MemEnd: 0xf7c20000},
		Counters: link.Counters{
			RxPackets: 16015427, TxPackets: 25563269, RxBytes: 1668374532, TxBytes: 34073500057, RxErrors: 10, RxDropped: 1, RxMissedErrors: 2,
			RxFIFOErrors: 3, RxLengthErrors: 1, RxOverErrors: 1, RxCRCErrors: 1, RxFrameErrors: 1, TxErrors: 6, TxDropped: 5, TxFIFOErrors: 7,
			TxCarrierErrors: 1, TxAbortedErrors: 1, TxWindowErrors: 1, TxHeartbeatErrors: 1, Collisions: 8,
		},
	}}
	i.Inet = &link.Address{Prefix: netip.MustParsePrefix("10.1.1.1/24"), Broadcast: netip.MustParseAddr("10.1.1.255")}
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
	for want, write := range map[string]func(*strings.Builder, Interface){classic: WriteClassic, current: WriteCurrent} {
		var out strings.Builder
		if write(&out, i); out.String() != want {
			t.Errorf("(-want +got):\n%s", cmp.Diff(want, out.String()))
		}
	}
}
