package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/link"
)

// newHost is a host with interfaces of several sorts in random states, and with
// traffic behind it.
func newHost(t *testing.T, rng *rand.Rand) (host *lab.Host, names []string) {
	t.Helper()
	l := lab.New(t)
	host, other := l.Host("host"), l.Host("other")
	l.Connect(host.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), other.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"))
	names = []string{"lo", "eth0"}
	var batch strings.Builder
	batch.WriteString("addr add 10.1.9.1/26 brd + dev eth0 label eth0:1\naddr add 10.1.9.2/26 dev eth0 label eth0:10\naddr add 10.1.8.2/30 dev eth0\n")
	for n, add := range []string{
		"link add IF type bridge", "tuntap add IF mode tun", "tuntap add IF mode tap", "link add IF type veth peer name IFp",
		"link add IF type vxlan id 4 dstport 4789", "link add IF type dummy", "tuntap add IF mode tun multi_queue",
	} {
		number := strconv.Itoa(20 + n)
		names = append(names, []string{"a", "eth", "net", "a-longer-na"}[rng.IntN(4)]+number)
		words := strings.NewReplacer("IF", names[len(names)-1], "NN", number)
		batch.WriteString(words.Replace(add) + "\n")
		for _, set := range []string{
			"link set IF up", "link set IF mtu 1400", "link set IF promisc on", "link set IF allmulticast on", "link set IF multicast off",
			"link set IF arp off", "link set IF dynamic on", "link set IF trailers off", "link set IF txqueuelen 77",
			"addr add 10.NN.0.1/16 brd + dev IF", "addr add 10.NN.1.1 peer 10.NN.1.2 dev IF", "addr add 10.NN.1.9 peer 10.NN.2.0/24 dev IF label IF:0",
			"addr add 10.NN.3.1/8 dev IF label IF:x", "addr add fd00:NN::1/64 dev IF", "addr add fe80::NN/10 dev IF", "addr add fec0::NN/16 dev IF",
		} {
			if rng.IntN(2) == 0 {
				batch.WriteString(words.Replace(set) + "\n")
			}
		}
	}
	cmd := host.Command("ip", "-force", "-batch", "-") // what this kernel does not have is refused
	cmd.Stdin = strings.NewReader(batch.String())
	cmd.Run()
	if err := host.Do(func() error { return traffic(rng.IntN(2000)) }); err != nil {
		t.Fatal(err)
	}
	return host, names
}

// traffic sends packets that nobody waits for over the loopback and the cable.
func traffic(packets int) error {
	for _, to := range []string{"127.0.0.1:9", "10.1.0.2:9"} {
		conn, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		for range packets {
			conn.Write(make([]byte, 1000)) // refused now and then, since nobody listens
		}
	}
	return nil
}

// lines returns the text with the IPv6 addresses of each interface sorted, which
// ifconfig shows in the order of a hash table of the kernel.
func lines(text []byte) []string {
	list := strings.Split(string(text), "\n")
	six := func(s string) bool { return strings.HasPrefix(s, "        inet6 ") }
	for at := 0; at < len(list); at++ {
		end := at
		for end < len(list) && six(list[end]) {
			end++
		}
		slices.Sort(list[at:end])
		at = max(at, end-1)
	}
	return list
}

// The text is the classic's, to the blank, in the same order.
func TestAgainstIfconfig(t *testing.T) {
	for _, tool := range []string{"ifconfig", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	compared := 0
	for range 5 {
		host, names := newHost(t, rng)
		forms := []string{"", "-a", "-s", "-a -s", "-v", "eth0:1", "-s eth0", "-s eth0:10"}
		forms = append(forms, names...)
		for _, args := range forms {
			var diff string
			for range 20 { // packets of the kernel's own may be counted in between
				classic, err := host.Output("ifconfig", strings.Fields(args)...)
				var stdout, stderr bytes.Buffer
				code := 0
				hostErr := host.DoUnprivileged(func() error {
					code = run(t.Context(), strings.Fields(args), nil, &stdout, &stderr)
					return nil
				})
				if hostErr != nil || (code != 0) != (err != nil) {
					t.Fatalf("ifconfig %s: %v, %v, exit code %d: %s", args, err, hostErr, code, stderr.String())
				}
				if diff = cmp.Diff(lines(classic), lines(stdout.Bytes())); diff == "" {
					compared += len(lines(stdout.Bytes()))
					break
				}
			}
			if diff != "" {
				t.Errorf("%s (-ifconfig +ours):\n%s", args, diff)
			}
		}
	}
	t.Logf("%d lines compared", compared)
	if compared < 1000 {
		t.Errorf("only %d lines compared", compared)
	}
}

func TestNoSuch(t *testing.T) {
	host, _ := newHost(t, rand.New(rand.NewPCG(1, 1)))
	for name, want := range map[string]string{
		"nosuch": "ifconfig: link: get nosuch: ", "eth0:7": "ifconfig: find alias eth0:7: file does not exist\n",
	} {
		stdout, stderr, code, err := host.RunChild("ifconfig", false, name)
		if err != nil || code != 1 || len(stdout) > 0 || !strings.HasPrefix(string(stderr), want) {
			t.Errorf("%s: %v, exit code %d, printed %q and %q", name, err, code, stdout, stderr)
		}
	}
}

func TestJSON(t *testing.T) {
	host, _ := newHost(t, rand.New(rand.NewPCG(1, 1)))
	stdout, stderr, code, err := host.RunChild("ifconfig", false, "-a", "--json")
	var list []link.Link
	if err == nil {
		err = json.Unmarshal(stdout, &list)
	}
	if err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s", err, code, stderr)
	}
	for _, l := range list {
		if strings.Contains(l.Name, ":") {
			t.Errorf("the alias %s is no interface", l.Name)
		}
		if l.Name == "eth0" && len(l.Addresses) < 5 {
			t.Errorf("eth0 has %v", l.Addresses)
		}
	}
	if len(list) < 5 {
		t.Errorf("%d interfaces", len(list))
	}
}
