package ping

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
)

// replyTo answers a query with data.
func replyTo(query []byte, code byte, data ...byte) []byte {
	b := bytes.Clone(query[:nodeHeaderLen])
	b[0], b[1], b[2], b[3] = nodeReplyType, code, 0, 0
	return append(b, data...)
}

// ask runs a query inside a host.
func ask(t *testing.T, h *lab.Host, q NodeQuery, dst string, timeout time.Duration, so StreamOptions) (got []Result) {
	t.Helper()
	o := Options{NetNS: h.NetNSFD(), Timeout: timeout}
	for r, err := range q.Stream(t.Context(), netip.MustParseAddr(dst), &o, &so) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	return got
}

func outcomes(rs []Result) (words []string) {
	for _, r := range rs {
		words = append(words, r.Outcome.String())
	}
	return words
}

func TestNodeQuery(t *testing.T) {
	client, gw, server := twoNets(t)
	name := append(bytes.Clone(ttl), "\x06server\x00\x00"...)
	var script atomic.Value
	server.AnswerICMPv6(nodeQueryType, func(query []byte) [][]byte { return script.Load().(func([]byte) [][]byte)(query) })
	q := NodeQuery{Question: NodeName}

	script.Store(func(query []byte) [][]byte { return [][]byte{replyTo(query, 0, name...)} })
	got := ask(t, client, q, server6, patient, StreamOptions{Count: 2, Interval: 10 * time.Millisecond, Sent: true})
	if len(got) != 4 {
		t.Fatalf("%v", outcomes(got))
	}
	for _, r := range got {
		if r.Outcome == OutcomeSent {
			continue
		}
		if r.Outcome != OutcomeReply || r.From.String() != server6 || r.TTL != 63 || r.RTT <= 0 || r.Size != 29 || r.Method != MethodICMPRaw ||
			!cmp.Equal(r.Node, &NodeInfo{Question: NodeName, Names: []string{"server"}}) {
			t.Errorf("%+v, node %+v", r, r.Node)
		}
	}
	// What has another nonce, and what is no reply, is nobody's answer; a
	// second one is a duplicate.
	script.Store(func(query []byte) [][]byte {
		wrong := replyTo(query, 0, name...)
		wrong[10] ^= 1
		short := replyTo(query, 0)[:12]
		return [][]byte{wrong, short, replyTo(query, 1), replyTo(query, 0, name...)}
	})
	got = ask(t, client, q, server6, patient, StreamOptions{Count: 2, Interval: 500 * time.Millisecond})
	again := slices.ContainsFunc(got, func(r Result) bool { return r.Outcome == OutcomeDuplicate && r.Seq == 1 && r.Node.Code == 0 })
	if len(got) < 3 || got[0].Outcome != OutcomeReply || got[0].Node.Code != 1 || !again {
		t.Errorf("with forged ones: %v", outcomes(got))
	}
	script.Store(func([]byte) [][]byte { return nil })
	if got := outcomes(ask(t, client, q, server6, 300*time.Millisecond, StreamOptions{Count: 1})); !cmp.Equal(got, []string{"timeout"}) {
		t.Errorf("silence: %v", got)
	}
	// A router that will not, and no route at all.
	gw.Filter(lab.Forward, lab.Rule{Dst: server6, Action: lab.RejectAdmin})
	got = ask(t, client, q, server6, patient, StreamOptions{Count: 3, Interval: time.Millisecond})
	for _, r := range got {
		if r.Outcome != OutcomeICMPError || r.From.String() != gw6 || r.ICMP == nil || r.ICMP.Code != 1 {
			t.Errorf("refused on the way: %+v", r)
		}
	}
	if len(got) != 3 {
		t.Errorf("refused on the way: %v", outcomes(got))
	}
	client.Unreachable("fd00:9::/64")
	if got := outcomes(ask(t, client, q, "fd00:9::1", patient, StreamOptions{Count: 1})); !cmp.Equal(got, []string{"local_error"}) {
		t.Errorf("no way: %v", got)
	}
}

// A group: everybody's answer is told, until the time is over.
func TestNodeQueryGroup(t *testing.T) {
	l := lab.New(t)
	client, sw := l.Host("client"), l.Switch("sw")
	l.Connect(client.Port("eth0", "fd00:1::9/64", "fe80::9/64"), sw.Port())
	for i, name := range []string{"a", "b", "c"} {
		h := l.Host(name)
		addr := netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(i + 1)}).String()
		l.Connect(h.Port("eth0", addr+"/64"), sw.Port())
		h.AnswerICMPv6(nodeQueryType, func(query []byte) [][]byte {
			return [][]byte{replyTo(query, 0, append(bytes.Clone(ttl), "\x01"+name+"\x00\x00"...)...)}
		})
	}
	names := map[string]bool{}
	got := ask(t, client, NodeQuery{Question: NodeName}, "ff02::1%eth0", 2*time.Second, StreamOptions{Count: 1})
	for i, r := range got {
		if want := []Outcome{OutcomeReply, OutcomeDuplicate}[min(i, 1)]; r.Outcome != want || r.From.Zone() == "" {
			t.Errorf("%d: %v from %v", i, r.Outcome, r.From)
		} else {
			names[r.Node.Names[0]] = true
		}
	}
	if len(names) != 3 {
		t.Errorf("answers of %v", names)
	}
}

// The options of the way are those of an engine, zones being of the namespace.
func TestNodeQueryWay(t *testing.T) {
	client, _, server := twoNets(t)
	asked := NodeQuery{Question: NodeName}
	arrives := listen(t, server, server6)
	server.AnswerICMPv6(nodeQueryType, func(query []byte) [][]byte { return [][]byte{replyTo(query, 1)} })
	one := func(dst string, o *Options) string {
		o.NetNS, o.Timeout = client.NetNSFD(), patient
		for r, err := range asked.Stream(t.Context(), netip.MustParseAddr(dst), o, &StreamOptions{Count: 1}) {
			if err != nil {
				return err.Error()
			}
			return r.Outcome.String()
		}
		return ""
	}
	if got := one(server6, &Options{FlowLabel: 0x12345}); got != "reply" {
		t.Error(got)
	}
	if got := (<-arrives).flow; got != 0x12345 {
		t.Errorf("flow label %#x", got)
	}
	if got := one(server6, &Options{Connect: netip.MustParseAddr(server6)}); got != "reply" {
		t.Error("connected: ", got)
	}
	if got := one(server6, &Options{Connect: netip.MustParseAddr(gw6)}); !strings.Contains(got, "connected to") {
		t.Error("connected to another one: ", got)
	}
	l := lab.New(t)
	near, far := l.Host("near"), l.Host("far")
	l.Connect(near.Port("port7", "fe80::9/64"), far.Port("eth0", "fe80::7/64"))
	far.AnswerICMPv6(nodeQueryType, func(query []byte) [][]byte { return [][]byte{replyTo(query, 1)} })
	client = near
	// The kernel answers from the other one of its link-local addresses.
	from := ask(t, near, asked, "fe80::7%port7", patient, StreamOptions{Count: 1})[0].From.WithZone("port7")
	if got := one(from.String(), &Options{Connect: from}); got != "reply" {
		t.Errorf("connected to %v: %s", from, got)
	}
	if got := one(from.String(), &Options{Connect: from.WithZone("port8")}); !strings.Contains(got, unix.ENODEV.Error()) {
		t.Error("by an interface that is not there: ", got)
	}
}

// However short the interval is, answers are heard, and the end of ctx too.
func TestNodeQueryNoInterval(t *testing.T) {
	client, _, server := twoNets(t)
	server.AnswerICMPv6(nodeQueryType, func(query []byte) [][]byte { return [][]byte{replyTo(query, 1)} })
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	n := 0
	for r, err := range (NodeQuery{}).Stream(ctx, netip.MustParseAddr(server6), &Options{NetNS: client.NetNSFD(), Timeout: patient}, &StreamOptions{Interval: 1}) {
		if err == nil && r.Outcome == OutcomeReply {
			n++
			cancel()
		} else if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if n == 0 {
		t.Error("no answer")
	}
}

func TestNodeQueryRefused(t *testing.T) {
	client := lab.New(t).Host("client")
	first := func(ctx context.Context, q NodeQuery, dst string, o *Options) (err error) {
		n := 0
		for _, err = range q.Stream(ctx, netip.MustParseAddr(dst), o, &StreamOptions{Count: 1}) {
			if n++; n > 1 {
				t.Error("a pair after the error")
			}
		}
		return err
	}
	err := client.DoUnprivileged(func() error {
		if err := first(t.Context(), NodeQuery{}, "::1", nil); !errors.Is(err, os.ErrPermission) || operr.NeedOf(err) != "CAP_NET_RAW" {
			t.Errorf("without the capability: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ns := client.NetNSFD()
	ended, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := first(ended, NodeQuery{}, "::1", &Options{NetNS: ns}); !errors.Is(err, cause) {
		t.Errorf("ended before: %v", err)
	}
	running, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	if err := first(running, NodeQuery{}, "::1", &Options{NetNS: ns, Timeout: time.Hour}); !errors.Is(err, cause) {
		t.Errorf("ended on the way: %v", err)
	}
	for dst, o := range map[string]*Options{"192.0.2.1": {NetNS: ns}, "::1": {NetNS: ns, Source: netip.MustParseAddr("127.0.0.1")},
		"::2": {NetNS: ns, TTL: 256}, "fe80::1%nosuch0": {NetNS: ns}} {
		if err := first(t.Context(), NodeQuery{}, dst, o); err == nil {
			t.Errorf("%s: no error", dst)
		}
	}
}
