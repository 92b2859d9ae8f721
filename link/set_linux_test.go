package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
)

func twoHosts(t *testing.T) *lab.Host {
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0", "10.1.0.1/24"), l.Host("peer").Port("eth0"))
	return h
}

// Set is compared with what ip shows.
func TestSet(t *testing.T) {
	needsIP(t)
	h := twoHosts(t)
	o := &Options{NetNS: h.NetNSFD()}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	flags := map[string]Flags{"UP": FlagUp, "NOARP": FlagNoARP, "PROMISC": FlagPromisc, "ALLMULTI": FlagAllMulti, "MULTICAST": FlagMulticast, "DYNAMIC": FlagDynamic}
	for i := range 60 {
		var c Changes
		want := map[string]bool{}
		for word, f := range flags {
			switch rng.IntN(3) {
			case 0:
				c.SetFlags |= f
				want[word] = true
			case 1:
				c.ClearFlags |= f
				want[word] = false
			}
		}
		mtu, queue := 1280+rng.IntN(3000), rng.IntN(5000)
		mac := HardwareAddr{2, 0, 0, byte(rng.IntN(256)), byte(i), 1}
		c.MTU, c.TxQueueLen, c.HardwareAddr = mtu, &queue, mac
		for range 2 { // twice is once
			if err := Set(t.Context(), "eth0", c, o); err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
		}
		for _, l := range ip(t, h, "link", "show", "eth0") {
			words, _ := l["flags"].([]any)
			for word, on := range want {
				if slices.Contains(words, any(word)) != on {
					t.Errorf("%s should be %v in %v", word, on, words)
				}
			}
			if fmt.Sprintf("%v %v %v", l["mtu"], l["txqlen"], l["address"]) != fmt.Sprintf("%d %d %s", mtu, queue, mac) {
				t.Errorf("%v %v %v after %+v", l["mtu"], l["txqlen"], l["address"], c)
			}
		}
	}
}

// What ip has set is deleted and set again here, and ip sees no difference.
func TestAddressAgainstIP(t *testing.T) {
	needsIP(t)
	total := 0
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 0)), ports: []string{"eth0", "lo", "v1", "p1"}}
	for range 30 {
		h := twoHosts(t)
		o := &Options{NetNS: h.NetNSFD()}
		var batch strings.Builder
		batch.WriteString("link add v1 type veth peer name p1\nlink set v1 up\n")
		for range 30 {
			fmt.Fprintln(&batch, strings.ReplaceAll(c.address(), "optimistic", ""))
		}
		cmd := h.Command("ip", "-force", "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		cmd.Run()
		before := addressLines(t, h)
		links, err := List(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			for _, a := range slices.Backward(l.Addresses) { // secondaries first
				if err := DeleteAddress(t.Context(), l.Name, a, o); err != nil {
					t.Fatalf("%v: %+v\n%s", err, a, &batch)
				}
				if err := DeleteAddress(t.Context(), l.Name, a, o); !errors.Is(err, os.ErrNotExist) {
					t.Fatalf("deleted twice: %v: %+v", err, a)
				}
			}
		}
		for _, l := range links {
			for _, a := range l.Addresses {
				if err := AddAddress(t.Context(), l.Name, a, o); err != nil {
					t.Fatalf("%v: %+v\n%s", err, a, &batch)
				}
				if err := AddAddress(t.Context(), l.Name, a, o); !errors.Is(err, os.ErrExist) {
					t.Fatalf("added twice: %v: %+v", err, a)
				}
				total++
			}
		}
		if d := cmp.Diff(before, addressLines(t, h)); d != "" {
			t.Fatalf("(-before +after):\n%s\n%s", d, &batch)
		}
	}
	if t.Log(total, "addresses"); total < 200 {
		t.Error("too few")
	}
}

// addressLines are ip's addresses, sorted, without the time that is left.
func addressLines(t *testing.T, h *lab.Host) (lines []string) {
	for index, l := range ip(t, h, "addr") {
		list, _ := l["addr_info"].([]any)
		for _, a := range list {
			m, _ := a.(object)
			delete(m, "tentative")
			for _, k := range []string{"valid_life_time", "preferred_life_time"} {
				if s := fmt.Sprint(m[k]); s != "4294967295" && s != "0" {
					m[k] = "some"
				}
			}
			b, err := json.Marshal(m)
			lines = append(lines, fmt.Sprint(index, string(b), err))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestSetErrors(t *testing.T) {
	h := twoHosts(t)
	o := &Options{NetNS: h.NetNSFD()}
	address := Address{Prefix: netip.MustParsePrefix("10.9.0.1/24")}
	for name, tt := range map[string]struct {
		err  error
		want error
	}{
		"mtu":            {Set(t.Context(), "eth0", Changes{MTU: 1 << 20}, o), unix.EINVAL},
		"negative":       {Set(t.Context(), "eth0", Changes{MTU: -1}, o), nil},
		"contradiction":  {Set(t.Context(), "eth0", Changes{SetFlags: FlagUp, ClearFlags: FlagUp}, o), nil},
		"no interface":   {Set(t.Context(), "nosuch", Changes{SetFlags: FlagUp}, o), os.ErrNotExist},
		"multicast mac":  {Set(t.Context(), "eth0", Changes{HardwareAddr: HardwareAddr{1, 0, 0, 0, 0, 1}}, o), unix.EADDRNOTAVAIL},
		"no address":     {AddAddress(t.Context(), "eth0", Address{}, o), nil},
		"not there":      {DeleteAddress(t.Context(), "eth0", address, o), os.ErrNotExist},
		"there":          {AddAddress(t.Context(), "eth0", Address{Prefix: netip.MustParsePrefix("10.1.0.1/24")}, o), os.ErrExist},
		"mixed families": {AddAddress(t.Context(), "eth0", Address{Prefix: address.Prefix, Peer: netip.MustParsePrefix("fd00::1/64")}, o), nil},
	} {
		if tt.err == nil || tt.want != nil && !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, tt.err, tt.want)
		}
	}
	err := Set(t.Context(), "eth0", Changes{MTU: 1 << 20}, o)
	if !strings.Contains(fmt.Sprint(err), "mtu greater than device maximum") {
		t.Errorf("the kernel's words are missing: %v", err)
	}
	for _, f := range []func() error{
		func() error { return Set(t.Context(), "eth0", Changes{SetFlags: FlagUp}, nil) },
		func() error { return AddAddress(t.Context(), "eth0", address, nil) },
	} {
		if err := h.DoUnprivileged(f); !errors.Is(err, os.ErrPermission) || operr.NeedOf(err) != "CAP_NET_ADMIN" {
			t.Errorf("unprivileged: %v", err)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.1.2.3/24": "10.1.2.255", "10.1.2.3/30": "10.1.2.3", "10.1.2.3/31": "invalid IP", "10.0.0.1/8": "10.255.255.255",
		"fd00::1/64": "invalid IP", "10.0.0.1/0": "255.255.255.255",
	} {
		if got := Broadcast(netip.MustParsePrefix(prefix)).String(); got != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}
