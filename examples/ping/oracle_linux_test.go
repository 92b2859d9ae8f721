package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// blank replaces what differs from run to run.
var blank = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`time=[0-9.]+ ms`), "time=T ms"},
	{regexp.MustCompile(`time \d+ms`), "time Tms"},
	{regexp.MustCompile(`flow 0x[0-9a-f]{5},`), "flow F,"},
	{regexp.MustCompile(`= [0-9./]+ ms`), "= T ms"},
	{regexp.MustCompile(`ipg/ewma [0-9./]+ ms`), "ipg/ewma T ms"},
	{regexp.MustCompile(`(?m)^\[\d+\.\d{6}\]`), "[T]"},
	{regexp.MustCompile(`\d+ absolute`), "N absolute"},
	{regexp.MustCompile(`(?m)\t-?\d{1,2}$`), "\tN"},
	{regexp.MustCompile(`, pipe \d+`), ""},
	{regexp.MustCompile(`(?m)^pipe \d+$`), ""},
}

func blanked(s string) string {
	for _, b := range blank {
		s = b.re.ReplaceAllString(s, b.with)
	}
	return s
}

// run1 is what a program printed.
func run1(cmd *lab.Cmd) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Run()); ok {
		code = exit.ExitCode()
	}
	return blanked(out.String()), blanked(errs.String()), code
}

// differs runs the installed ping and ours with the same arguments and returns
// in what they differ.
func differs(h *lab.Host, privileged bool, line string) string {
	args := strings.Fields(line)
	theirs := h.CommandUnprivileged("ping", args...)
	if privileged {
		theirs = h.Command("ping", args...)
	}
	wantOut, wantErr, wantCode := run1(theirs)
	out, errs, code := run1(h.ChildCommand("ping", privileged, args...))
	if strings.Contains(line, ":") { // IPv6
		errs = strings.TrimPrefix(errs, withoutEffect)
	}
	return cmp.Diff(wantOut, out) + cmp.Diff(wantErr, errs) + cmp.Diff(wantCode, code)
}

// withoutEffect is what ours says where ping(8) passes over an option in silence.
const withoutEffect = "ping: Warning: -r is of no effect: the kernel does not heed it for IPv6\n"

// compareAll runs lines side by side, and what differs again alone: on a busy
// machine an answer may be late for either.
func compareAll(t *testing.T, h *lab.Host, privileged bool, lines []string) {
	t.Helper()
	if _, err := exec.LookPath("ping"); err != nil {
		t.Skip("needs ping")
	}
	var all sync.WaitGroup
	diffs := make([]string, len(lines))
	places := make(chan struct{}, 8)
	for i, line := range lines {
		places <- struct{}{}
		all.Go(func() { diffs[i] = differs(h, privileged, line); <-places })
	}
	all.Wait()
	for i, line := range lines {
		for try := 0; try < 8 && diffs[i] != ""; try++ {
			diffs[i] = differs(h, privileged, line)
		}
		if diffs[i] != "" {
			t.Errorf("ping %s (-ping +ours):\n%s", line, diffs[i])
		}
	}
}

// chain is a client and up to four routers in a row with a server behind them,
// with addresses, TTLs and MTUs by chance.
type chain struct {
	client, server   *lab.Host
	routers          []*lab.Host
	addr4, addr6     string // of the server
	near4, near6     string // of the first router
	unused4, unused6 string // in the server's network
	mtu              int
}

func newChain(t *testing.T, r *rand.Rand) *chain {
	t.Helper()
	l := lab.New(t)
	c := &chain{client: l.Host("client"), server: l.Host("server"), mtu: 1280 + r.IntN(200)}
	n := 1 + r.IntN(4)
	for i := range n {
		c.routers = append(c.routers, l.Router(fmt.Sprint("r", i)))
	}
	hosts := append(append([]*lab.Host{c.client}, c.routers...), c.server)
	a, b := 1+r.IntN(200), r.IntN(250)
	type link struct{ net4, net6, left4, left6, right4, right6 string }
	var links []link
	for i := range len(hosts) - 1 {
		x := link{net4: fmt.Sprintf("10.%d.%d.", a, b+i), net6: fmt.Sprintf("fd%02x:%x::", a, b+i)}
		left, right := 1+r.IntN(100), 101+r.IntN(100)
		x.left4, x.right4 = fmt.Sprint(x.net4, left), fmt.Sprint(x.net4, right)
		x.left6, x.right6 = fmt.Sprintf("%s%x", x.net6, left), fmt.Sprintf("%s%x", x.net6, right)
		l.Connect(hosts[i].Port("right", x.left4+"/24", x.left6+"/64"), hosts[i+1].Port("left", x.right4+"/24", x.right6+"/64"))
		links = append(links, x)
	}
	for k, h := range hosts {
		for i, x := range links {
			via4, via6 := "", ""
			switch {
			case i < k-1:
				via4, via6 = links[k-1].left4, links[k-1].left6
			case i > k:
				via4, via6 = links[k].right4, links[k].right6
			default:
				continue
			}
			h.Route(x.net4+"0/24", via4)
			h.Route(x.net6+"/64", via6)
		}
	}
	first, last := links[0], links[len(links)-1]
	c.near4, c.near6, c.addr4, c.addr6 = first.right4, first.right6, last.right4, last.right6
	c.unused4, c.unused6 = last.net4+"250", last.net6+"fa"
	c.routers[n-1].MTU("right", c.mtu)
	c.server.MTU("left", c.mtu)
	c.server.Sysctl("net/ipv4/ip_default_ttl", fmt.Sprint(40+r.IntN(200)))
	for _, h := range c.routers { // a failed neighbour shall be told soon
		for _, family := range []string{"ipv4", "ipv6"} {
			h.Sysctl("net/"+family+"/neigh/right/retrans_time_ms", "150")
		}
	}
	return c
}

func TestAgainstPing(t *testing.T) {
	t.Parallel()
	for range 2 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // it is waiting, mostly
			r := rand.New(rand.NewPCG(seed, 1))
			c := newChain(t, r)
			var lines []string
			for _, to := range []string{c.addr4, c.addr6} {
				size, ttl := r.IntN(1200), 1+r.IntN(len(c.routers))
				lines = append(lines,
					"-c 3 -i 0.01 "+to,
					"-c3 -i.01 -n "+to,
					"-c 2 -i 0.01 -D "+to,
					"-c 2 -i 0.01 -q "+to,
					fmt.Sprintf("-c 2 -i 0.01 -s %d -p ff0 %s", 16+size, to),
					fmt.Sprintf("-c 2 -i 0.01 -t %d %s", ttl, to),
					fmt.Sprintf("-c 2 -i 0.01 -Q 0x%x %s", 4*r.IntN(64), to),
					"-c 2 -i 0.01 -I right "+to,
					"-c 2 -i 0.01 -B "+to,
					"-c 3 -A "+to, "-c 5 -f "+to, "-c 5 -f -q "+to, "-c 4 -l 3 -i 0.1 "+to,
					"-c 2 -a -i 0.01 "+to,
					"-c 1 -w 2 -t 1 "+to,
					"-c 2 -i 0.3 -O -t 1 "+to,
					"-c 2 -i 0.01 -C "+to, "-c 2 -i 0.01 -e 4711 "+to, "-c 1 -e 0 "+to, "-c 2 -i 0.01 -S 5000 "+to,
					"-c 1 -M do -s 3000 "+to, "-c 1 -W 0.5 -q -M do -s 3000 "+to, "-c 1 -M dont -s 3000 "+to,
				)
			}
			lines = append(lines, "-c 1 -r "+c.near4, "-c 1 -r "+c.near6, "-c 2 -i 0.01 -F 0 "+c.addr6, "-c 1 -F 0 -I right "+c.addr6, "-N help "+c.addr6,
				"-c 2 -i 0.01 -R "+c.addr4, "-c 1 -T tsonly "+c.near4, "-c 1 -T tsandaddr "+c.near4,
				"-c 1 -T tsprespec "+c.near4+" "+c.addr4, "-c 1 "+c.unused4, "-c 1 "+c.unused6, "-c 1 0", "-c 1 127.1",
				"-c 1 192.0.2.1", "-c 1 2001:db8::1", "-6 "+c.addr4, "-4 "+c.addr6, "-I nosuch0 "+c.addr4)
			compareAll(t, c.client, true, lines)
		})
	}
}

// A neighbour by the address that it has for this link alone.
func TestLinkLocalAgainstPing(t *testing.T) {
	client, server := forgedPair(t)
	client.Addr("eth0", "fe80::2/64")
	server.Addr("eth0", "fe80::1/64")
	for _, h := range []*lab.Host{client, server} {
		h.Sysctl("net/ipv4/icmp_echo_ignore_broadcasts", "0")
	}
	compareAll(t, client, true, []string{"-c 2 -i 0.05 fe80::1%eth0", "-c 1 -I fe80::2%eth0 fe80::1%eth0", "-c 1 -W 0.3 ff02::1%eth0",
		"-c 1 -I eth0 10.1.0.1", "-c 1 -I 10.1.0.2 10.1.0.1", "-c 1 -I 192.0.2.1 10.1.0.1", "-c 1 -b 10.1.0.255", "-c 1 10.1.0.255", "-c 1 -W 0.3 -I eth0 224.0.0.1"})
	// The installed one takes the interface, but says "from ::" and warns.
	for line, want := range map[string]string{
		"-c 1 -I eth0 fe80::1": "PING fe80::1(fe80::1%eth0) from fe80::2 eth0: 56 data bytes\n64 bytes from fe80::1%eth0: icmp_seq=1 ",
		"-c 1 -I eth0 ff02::1": "PING ff02::1(ff02::1%eth0) from fe80::2 eth0: 56 data bytes\n64 bytes from fe80::",
	} {
		if out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields(line)...)); code != 0 || !strings.HasPrefix(out, want) || errs != "" {
			t.Errorf("%s: exit %d\n%s%s", line, code, out, errs)
		}
	}
	if out, errs, code := run1(client.ChildCommand("ping", false, "-c", "1", "fe80::1")); code != 2 || out != "" || !strings.Contains(errs, "hint: every interface has such addresses") {
		t.Errorf("without an interface: exit %d\n%s%s", code, out, errs)
	}
}

// Replies that are slow, and every one of them twice: what is in flight when
// the last packet goes out, and what is waited for then.
func TestAgainstPingSlow(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	client, server := l.Host("client"), l.Host("server")
	l.Wire(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), server.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"),
		lab.Impair{Delay: 300 * time.Millisecond}, lab.Impair{Duplicate: 1})
	// Neighbours are found first.
	client.OutputUnprivileged("ping", "-c", "1", "10.1.0.1")
	client.OutputUnprivileged("ping", "-c", "1", "fd00:1::1")
	compareAll(t, client, true, []string{"-c 3 -i 0.2 10.1.0.1", "-c 3 -i 0.2 -O fd00:1::1", "-c 1 -W 0.1 10.1.0.1", "-c 2 -i 0.02 -W 0.1 -O fd00:1::1",
		"-c 2 -w 3 10.1.0.1", "-w 1 -i 0.45 -q 10.1.0.1", "-c 4 -A 10.1.0.1", "-c 3 -l 3 fd00:1::1"})
}
