package interfaces

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// files makes a file system of names and texts in turn.
func files(list ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = &fstest.MapFile{Data: []byte(list[i+1])}
	}
	return m
}

const example = `# The network.
source /etc/network/interfaces.d/*
source-directory more

auto lo /eth*
iface lo inet loopback

allow-hotplug eth0
no-auto-down lo
iface eth0 inet static
    address 192.0.2.7/24
	gateway   192.0.2.1
    # a remark
    up echo one \
       two
    dns-nameservers 192.0.2.53

iface home inherits eth0
    mtu 1400

mapping eth*
    script /usr/local/sbin/where
`

func TestRead(t *testing.T) {
	fsys := files("etc/network/interfaces", example, "etc/network/interfaces.d/wlan0", "iface wlan0 inet dhcp\n",
		"etc/network/more/b", "allow-auto b\n", "etc/network/more/a.bak", "nonsense\n", "etc/network/more/c", "stray line\niface c\nsource nowhere\n")
	c, err := Read(fsys, "etc/network/interfaces")
	if err != nil {
		t.Fatal(err)
	}
	at := func(line int) Place { return Place{"/etc/network/interfaces", line} }
	want := Config{
		Allowed: map[string][]string{"auto": {"b", "lo", "/eth*"}, "hotplug": {"eth0"}},
		NoAuto:  []string{"lo"},
		Stanzas: []Stanza{
			{Name: "wlan0", Family: "inet", Method: "dhcp", Place: Place{"/etc/network/interfaces.d/wlan0", 1}},
			{Name: "c", Place: Place{"/etc/network/more/c", 2}},
			{Name: "lo", Family: "inet", Method: "loopback", Place: at(6)},
			{Name: "eth0", Family: "inet", Method: "static", Place: at(10), Options: []Option{
				{"address", "192.0.2.7/24", at(11)}, {"gateway", "192.0.2.1", at(12)}, {"up", "echo one        two", at(14)},
				{"dns-nameservers", "192.0.2.53", at(16)},
			}},
			{Name: "home", Inherits: []string{"eth0"}, Place: at(18), Options: []Option{{"mtu", "1400", at(19)}}},
		},
		Mappings: []Stanza{{Name: "eth*", Place: at(21), Options: []Option{{"script", "/usr/local/sbin/where", at(22)}}}},
		Problems: []Problem{
			{Place: Place{"/etc/network/more/c", 1}, Text: `"stray" is not inside a stanza`},
			{Place: Place{"/etc/network/more/c", 2}, Text: "iface needs a name, a family and a method"},
			{Place: Place{"/etc/network/more/c", 3}, Text: "/etc/network/more/nowhere is not there"},
		},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for name, auto := range map[string]bool{"lo": true, "eth0": true, "eth12": true, "b": true, "wlan0": false} {
		if c.Is("auto", name) != auto {
			t.Errorf("%s is auto: %v", name, !auto)
		}
	}
	home := c.Find("home")
	if len(home) != 1 || home[0].Method != "static" || len(home[0].Options) != 5 {
		t.Errorf("home inherits %+v", home)
	}
}

func TestReadErrors(t *testing.T) {
	if _, err := Read(files(), "etc/network/interfaces"); err == nil {
		t.Error("read a file that is not there")
	}
	c, err := Read(files("a", "source /a\nsource /b/*\n", "b/x", "source /a"), "a")
	if err != nil || len(c.Problems) == 0 || !strings.Contains(c.Problems[0].Text, "include each other") {
		t.Errorf("a circle: %v, %v", err, c.Problems)
	}
}

// texts are the command lines of a plan.
func texts(steps []Step) (list []string) {
	for _, s := range steps {
		if s.Do != ActionScripts {
			list = append(list, s.Text)
		}
	}
	return list
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		stanza   string
		up       []string
		problems []string
	}{
		{
			"iface eth0 inet static\n pre-up echo hi\n address 192.0.2.7\n netmask 255.255.255.0\n gateway 192.0.2.1\n mtu 1400\n down echo bye\n bridge_ports eth1",
			[]string{
				"echo hi", "ip addr add 192.0.2.7/24 broadcast 192.0.2.255 dev eth0 label eth0", "ip link set dev eth0 mtu 1400 up",
				"ip route add default via 192.0.2.1 dev eth0 onlink",
			},
			[]string{`/f:8: nothing is done about "bridge_ports"`},
		},
		{
			"iface eth0:1 inet static\n address 192.0.2.7/30\n broadcast -\n pointopoint 192.0.2.9\n",
			[]string{"ip addr add 192.0.2.7/30 broadcast 192.0.2.4 peer 192.0.2.9 dev eth0 label eth0:1", "ip link set dev eth0 up"}, nil,
		},
		{
			"iface eth0 inet6 static\n address 2001:db8::7\n gateway fe80::1\n metric 5\n dad-attempts 0\n mtu 1300\n",
			[]string{
				"sysctl -q -e -w net.ipv6.conf.eth0.accept_ra=0", "sysctl -q -e -w net.ipv6.conf.eth0.autoconf=0", "sysctl -q -e -w net.ipv6.conf.eth0.mtu=1300", "ip addr flush dev eth0 mngtmpaddr", "ip link set dev eth0 up",
				"ip -6 addr add 2001:db8::7/128 dev eth0 nodad", "ip -6 route replace default via fe80::1 metric 5 dev eth0 onlink",
			}, nil,
		},
		{"iface eth0 inet manual\n mtu 1400", []string{"ip link set dev eth0 mtu 1400", "ip link set dev eth0 up"}, nil},
		{"iface eth0 inet dhcp\n", []string{"start a DHCP client on eth0"}, nil},
		{"iface eth0 inet ppp\n provider x", nil, []string{"/f:1: inet ppp is not done here", `/f:2: nothing is done about "provider"`}},
		{"iface eth0 inet static\n", nil, []string{"/f:1: no address"}},
		{"iface eth0 inet static\n address 2001:db8::1\n", nil, []string{`/f:2: address: "2001:db8::1" is none of inet`}},
		{"iface eth0 inet static\n address 192.0.2.1/33\n", nil, []string{`/f:2: netmask: "33" is none`}},
		{"iface eth0 inet static\n address 192.0.2.1\n netmask 255.0.255.0\n", nil, []string{`/f:2: netmask: "255.0.255.0" is none`}},
		{"iface ../../x inet6 manual\n", nil, []string{`/f:1: "../../x" is no name of an interface`}},
		{
			"iface eth0 inet manual\n mtu much\n hwaddress ether zz\n", []string{"ip link set dev eth0 up"},
			[]string{`/f:2: mtu: "much" is not a number of them`, `/f:3: hwaddress: link-layer address "zz" is not colon-separated bytes`},
		},
	} {
		c, err := Read(files("f", tt.stanza), "f")
		if err != nil || len(c.Stanzas) != 1 {
			t.Fatal(tt.stanza, err)
		}
		steps, problems := Up(c.Stanzas[0], c.Stanzas[0].Name)
		if d := cmp.Diff(tt.up, texts(steps)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.stanza, d)
		}
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if d := cmp.Diff(tt.problems, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.stanza, d)
		}
	}
}

func TestVariables(t *testing.T) {
	for text, want := range map[string][]string{
		"iface eth0 inet static\n address 192.0.2.7/24\n wpa-psk_x.y secret word\n hwaddress ether 02:00:00:00:00:01\n dup 1\n up true\n dup 2\n": {
			"IF_ADDRESS=192.0.2.7", "IF_WPA_PSK_XY=secret word", "IF_HWADDRESS=02:00:00:00:00:01", "IF_DUP=1\n2", "IF_BROADCAST=192.0.2.255", "IF_NETMASK=255.255.255.0",
		},
		"iface eth0 inet static\n address 172.16.1.2\n": {"IF_ADDRESS=172.16.1.2", "IF_BROADCAST=172.16.255.255", "IF_NETMASK=255.255.0.0"},
		"iface eth0 inet static\n address nonsense\n":   {"IF_ADDRESS=nonsense"},
		"iface eth0 inet static\n address 192.0.2.7/24\n broadcast nonsense\n": {
			"IF_ADDRESS=192.0.2.7", "IF_BROADCAST=nonsense", "IF_NETMASK=255.255.255.0",
		},
		"iface eth0 inet6 static\n address fd00::1\n gateway fe80::1\n autoconf 1\n": {
			"IF_ADDRESS=fd00::1", "IF_GATEWAY=fe80::1", "IF_AUTOCONF=1", "IF_ACCEPT_RA=0", "IF_NETMASK=", "IF_PREFERRED_LIFETIME=", "IF_DAD_ATTEMPTS=60", "IF_DAD_INTERVAL=0.1",
		},
		"iface eth0 inet manual\n mtu 1400\n post-up x\n": {"IF_MTU=1400"},
	} {
		c, err := Read(files("f", text), "f")
		if err != nil || len(c.Stanzas) != 1 {
			t.Fatal(text, err)
		}
		if d := cmp.Diff(want, c.Stanzas[0].Environment()); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(example, "iface a inherits b\niface b inherits a b\n address 1.2.3.4/0\n")
	f.Add("iface e inet6 static\n address ::1/0\n netmask 129\n gateway ::\n\\\n\\", "iface e inet static\n address 1.2.3.4\n netmask 0\n broadcast +\n#\\\n")
	f.Add("source *\nsource-directory .\nsource [\nsource /\nsource ../..", "mapping\nauto\niface\niface x inherits\nallow- y")
	f.Fuzz(func(t *testing.T, a, b string) {
		c, err := Read(files("etc/network/interfaces", a, "etc/network/interfaces.d/b", b), "etc/network/interfaces")
		if err != nil {
			return
		}
		for _, s := range c.Stanzas[:min(len(c.Stanzas), 20)] {
			for _, s := range c.Find(s.Name) {
				for _, v := range s.Environment() {
					if name, _, ok := strings.Cut(v, "="); !ok || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
						t.Errorf("variable %q", v)
					}
				}
				for _, plan := range []func(Stanza, string) ([]Step, []Problem){Up, Down} {
					steps, _ := plan(s, s.Name)
					for _, step := range steps {
						if strings.Contains(step.Key, "..") || step.Prefix.IsValid() && step.Prefix.Addr().Zone() != "" {
							t.Errorf("%+v", step)
						}
					}
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	fsys := files("etc/network/interfaces", example, "etc/network/more/x", "")
	for b.Loop() {
		if _, err := Read(fsys, "etc/network/interfaces"); err != nil {
			b.Fatal(err)
		}
	}
}
