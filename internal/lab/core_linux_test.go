package lab_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// need skips a test whose witness is not installed.
func need(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("needs ", tool)
	}
}

// twoNets is client - gw - server, on fixed addresses.
func twoNets(t testing.TB) (l *lab.Lab, client, gw, server *lab.Host) {
	t.Helper()
	l = lab.New(t)
	client, gw, server = l.Host("client"), l.Router("gw"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), server.Port("eth0", "10.2.0.2/24", "fd00:2::2/64"))
	for _, via := range []string{"10.1.0.1", "fd00:1::1"} {
		client.Route("default", via)
	}
	for _, via := range []string{"10.2.0.1", "fd00:2::1"} {
		server.Route("default", via)
	}
	return l, client, gw, server
}

// pings reports whether dst answers one of a few pings.
func pings(t testing.TB, from *lab.Host, dst string) bool {
	t.Helper()
	need(t, "ping")
	out, err := from.Command("ping", "-n", "-c1", "-W1", dst).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() > 1) {
		t.Fatalf("ping %s: %v\n%s", dst, err, out)
	}
	return err == nil
}

// ipJSON runs ip -j in the host.
func ipJSON(t testing.TB, h *lab.Host, args ...string) []map[string]any {
	t.Helper()
	need(t, "ip")
	out, err := h.Output("ip", append([]string{"-j"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var v []map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("ip -j %q: %v\n%s", args, err, out)
	}
	return v
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	_, client, gw, _ := twoNets(t)
	for _, dst := range []string{"10.2.0.2", "fd00:2::2"} {
		if !pings(t, client, dst) {
			t.Errorf("%s does not answer", dst)
		}
	}
	gw.Sysctl("net/ipv4/ip_forward", "0")
	if pings(t, client, "10.2.0.2") {
		t.Error("an answer through a router that does not forward")
	}
}

func TestAddressesAgainstIP(t *testing.T) {
	l := lab.New(t)
	h, far := l.Host("h"), l.Host("far")
	port := h.Port("lan7", "10.1.0.2/24", "fd00:1::2/64")
	l.Connect(port, far.Port("eth0"))
	h.MTU("lan7", 1400)
	h.Addr("lan7", "10.9.9.9/32")
	type addr struct {
		local, scope string
		bits         float64
	}
	show := func() (mtu any, mac any, addrs []addr) {
		for _, link := range ipJSON(t, h, "addr", "show", "dev", "lan7") {
			mtu, mac = link["mtu"], link["address"]
			for _, a := range link["addr_info"].([]any) {
				a := a.(map[string]any)
				addrs = append(addrs, addr{a["local"].(string), a["scope"].(string), a["prefixlen"].(float64)})
			}
		}
		return mtu, mac, addrs
	}
	mtu, mac, addrs := show()
	if mtu != 1400.0 || mac != port.HardwareAddr().String() {
		t.Errorf("mtu %v, mac %v", mtu, mac)
	}
	want := []addr{
		{"10.1.0.2", "global", 24}, {"10.9.9.9", "global", 32},
		{"fd00:1::2", "global", 64}, {linkLocal(port.HardwareAddr()), "link", 64},
	}
	opt := cmp.AllowUnexported(addr{})
	if diff := cmp.Diff(want, addrs, opt); diff != "" {
		t.Error(diff)
	}
	h.FlushAddrs("lan7")
	if _, _, addrs = show(); !cmp.Equal(addrs, want[3:], opt) {
		t.Errorf("after FlushAddrs: %v", addrs)
	}
}

// linkLocal is the EUI-64 address of RFC 4291, appendix A.
func linkLocal(mac net.HardwareAddr) string {
	b := [16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}
	return netip.AddrFrom16(b).String()
}

func TestRoutesAgainstIP(t *testing.T) {
	_, client, _, _ := twoNets(t)
	client.Route("172.16.0.0/12", "10.1.0.1")
	client.Route("172.16.0.0/12", "10.1.0.7") // replaces
	client.RouteDev("10.8.0.0/16", "eth0")
	client.Blackhole("10.10.0.0/16")
	client.Unreachable("10.11.0.1")
	client.Prohibit("fd00:b::/64")
	client.DelRoute("default")
	got := map[string]string{}
	for _, family := range []string{"-4", "-6"} {
		for _, r := range ipJSON(t, client, family, "route") {
			if r["protocol"] == "kernel" {
				continue
			}
			what, _ := r["type"].(string)
			gateway, _ := r["gateway"].(string)
			scope, _ := r["scope"].(string)
			got[r["dst"].(string)] = strings.TrimSpace(what + " " + gateway + " " + scope)
		}
	}
	want := map[string]string{
		"172.16.0.0/12": "10.1.0.7", "10.8.0.0/16": "link", "10.10.0.0/16": "blackhole",
		"10.11.0.1": "unreachable", "fd00:b::/64": "prohibit",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for dst, want := range map[string]error{
		"10.10.0.1": unix.EINVAL, "10.11.0.1": unix.EHOSTUNREACH, "[fd00:b::1]": unix.EACCES, "9.9.9.9": unix.ENETUNREACH,
	} {
		err := client.Do(func() error { _, err := net.Dial("udp", dst+":9"); return err })
		if !errors.Is(err, want) {
			t.Errorf("dial %s: %v, want %v", dst, err, want)
		}
	}
}

func TestTypedRoutesOnRouter(t *testing.T) {
	need(t, "ping")
	_, client, gw, _ := twoNets(t)
	gw.Unreachable("10.20.0.0/16")
	gw.Prohibit("10.21.0.0/16")
	for dst, want := range map[string]string{
		"10.20.0.1": "Destination Host Unreachable", "10.21.0.1": "Packet filtered", "10.22.0.1": "Destination Net Unreachable",
	} {
		out, _ := client.Command("ping", "-n", "-c1", "-W2", dst).CombinedOutput()
		if !strings.Contains(string(out), "From 10.1.0.1") || !strings.Contains(string(out), want) {
			t.Errorf("ping %s: want %q\n%s", dst, want, out)
		}
	}
}

func TestCarrier(t *testing.T) {
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	port := a.Port("eth0", "10.0.0.1/24", "fd00::1/64")
	link := l.Connect(port, b.Port("eth0", "10.0.0.2/24", "fd00::2/64"))
	state := func() string {
		return strings.Trim(strings.Join([]string{
			ipJSON(t, a, "link", "show", "eth0")[0]["operstate"].(string),
			func() string {
				out, _ := a.Output("cat", "/sys/class/net/eth0/carrier")
				return strings.TrimSpace(string(out))
			}(),
		}, " "), " ")
	}
	if got := state(); got != "UP 1" {
		t.Errorf("connected: %q", got)
	}
	link.Down()
	if got := state(); got != "DOWN 0" {
		t.Errorf("cut: %q", got)
	}
	if flags := ipJSON(t, a, "link", "show", "eth0")[0]["flags"]; !strings.Contains(jsonText(t, flags), "NO-CARRIER") {
		t.Errorf("flags %v, want NO-CARRIER", flags)
	}
	link.Up()
	if got := state(); got != "UP 1" || !pings(t, a, "10.0.0.2") {
		t.Errorf("mended: %q", got)
	}
	a.Down("eth0")
	if got := state(); got != "DOWN" {
		t.Errorf("down: %q", got)
	}
	a.Up("eth0")
	if got := state(); got != "UP 1" || !pings(t, a, "10.0.0.2") {
		t.Errorf("up: %q", got)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	sw := l.Switch("sw")
	hosts := []*lab.Host{l.Host("a"), l.Host("b"), l.Host("c")}
	var ports []*lab.Port
	for i, h := range hosts {
		port := sw.Port()
		l.Connect(h.Port("eth0", "10.0.0."+string(rune('1'+i))+"/24"), port)
		ports = append(ports, port)
	}
	if !pings(t, hosts[0], "10.0.0.2") || !pings(t, hosts[0], "10.0.0.3") {
		t.Fatal("the switch does not join its hosts")
	}
	sw.Isolate(ports[0], true)
	sw.Isolate(ports[1], true)
	if pings(t, hosts[0], "10.0.0.2") || !pings(t, hosts[0], "10.0.0.3") {
		t.Error("isolation of two ports does not separate just them")
	}
	sw.Isolate(ports[0], false)
	if !pings(t, hosts[0], "10.0.0.2") {
		t.Error("isolation stays")
	}
}

func TestNeighbor(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	l.Connect(a.Port("eth0", "10.0.0.1/24"), b.Port("eth0", "10.0.0.2/24"))
	a.Neighbor("eth0", "10.0.0.2", "02:00:00:00:00:99")
	got := ipJSON(t, a, "neigh", "show", "10.0.0.2")
	if len(got) != 1 || got[0]["lladdr"] != "02:00:00:00:00:99" || jsonText(t, got[0]["state"]) != `["PERMANENT"]` {
		t.Errorf("ip neigh: %v", got)
	}
	if pings(t, a, "10.0.0.2") {
		t.Error("an answer in spite of a wrong MAC address")
	}
	a.ForgetNeighbors()
	if !pings(t, a, "10.0.0.2") {
		t.Error("no answer after ForgetNeighbors")
	}
}

func TestEtcFiles(t *testing.T) {
	need(t, "getent")
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	a.Hosts("10.7.7.7 web1\n")
	a.ResolvConf("nameserver 10.0.0.53\n")
	if out, err := a.Output("getent", "hosts", "web1"); err != nil || !strings.HasPrefix(string(out), "10.7.7.7 ") {
		t.Errorf("getent in a: %q, %v", out, err)
	}
	if out, err := b.Output("getent", "hosts", "web1"); err == nil {
		t.Errorf("getent in b: %q", out)
	}
	for _, h := range []*lab.Host{a, b} {
		want := map[string]string{"a": "nameserver 10.0.0.53\n"}[h.Name]
		err := h.Do(func() error {
			got, err := os.ReadFile("/etc/resolv.conf")
			if string(got) != want {
				t.Errorf("resolv.conf of %s: %q, want %q", h.Name, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if got, _ := os.ReadFile("/etc/hosts"); strings.Contains(string(got), "web1") {
		t.Errorf("the machine's own hosts file: %q", got)
	}
}

// A host can talk to its own addresses as soon as they are there.
func TestOwnAddressAtOnce(t *testing.T) {
	for range 40 {
		l := lab.New(t)
		a, b := l.Host("a"), l.Host("b")
		l.Connect(a.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), b.Port("eth0"))
		a.Addr("eth0", "fd00:1::2/64")
		for _, addr := range []string{"10.1.0.1:0", "[fd00:1::1]:0", "[fd00:1::2]:0"} {
			err := a.Do(func() error {
				ln, err := net.Listen("tcp", addr)
				if err != nil {
					return err
				}
				defer ln.Close()
				conn, err := net.Dial("tcp", ln.Addr().String())
				if err == nil {
					conn.Close()
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
