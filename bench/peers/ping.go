package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// pingStage is one hop to a host that answers for a whole network. Sender,
// path and answer share the processors.
func pingStage(s *stage) (client *lab.Host) {
	l := lab.New(s)
	client, server := l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), server.Port("eth0", "10.1.0.1/24"))
	client.Route("10.64.0.0/10", "10.1.0.1")
	err := server.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		dst, err := netlink.ParseIPNet("10.64.0.0/10")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL,
			Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
	})
	if err != nil {
		s.Fatal(err)
	}
	return client
}

// The parts of the table of package ping.

func comparePingPeriodic(s *stage) table { return periodicRows(s, pingStage(s)) }

func comparePingSweep(s *stage) table {
	client := pingStage(s)
	return append(sweepRows(s, client, "10.64.0.0/20", 4094), sweepRows(s, client, "10.64.0.0/16", 65534)...)
}

func comparePingMillion(s *stage) table { return millionRows(s, pingStage(s)) }

func comparePingTruth(s *stage) table {
	client := pingStage(s)
	return table{truthRow(s, client, "idle", false), truthRow(s, client, "every core busy", true)}
}

func comparePingCancel(s *stage) table { return table{cancelRow(s, pingStage(s))} }

func has(tool string) bool { _, err := exec.LookPath(tool); return err == nil }

// each returns the cost of one of n.
func each(d time.Duration, n int) time.Duration { return d / time.Duration(max(1, n)) }

func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1000) }

const (
	manyHosts = 4000
	rounds    = 8
)

// periodicRows are 4,000 hosts once a second.
func periodicRows(s *stage, client *lab.Host) table {
	var ours, theirs periodic
	k := s.child(client, &ours, "ours-periodic", strconv.Itoa(manyHosts), strconv.Itoa(rounds), "")
	pk := s.child(client, &theirs, "pro-bing-periodic", strconv.Itoa(manyHosts), strconv.Itoa(rounds), "")
	cpu, bing := each(k.cpu, ours.Sent), each(pk.cpu, theirs.Sent)
	bingWords := fmt.Sprintf("pro-bing %s", micros(bing))
	rows := table{
		{"4,000 hosts at 1 Hz: processor time a probe", micros(cpu), bingWords, "≤ 1/10 of pro-bing", judge(cpu*10 <= bing)},
	}
	var burst periodic
	bk := s.child(client, &burst, "ours-rounds", strconv.Itoa(manyHosts), strconv.Itoa(rounds))
	rows = append(rows, fpingRow(s, client, "the same", cpu, "0.25"),
		fpingRow(s, client, "the same, but all at once each second", each(bk.cpu, burst.Sent), "0"))
	loss, bingLoss := ours.Sent-ours.Received+burst.Sent-burst.Received, theirs.Sent-theirs.Received
	return append(rows,
		row{"the same: goroutines", strconv.Itoa(ours.Goroutines), fmt.Sprintf("pro-bing %d", theirs.Goroutines), "≤ 8", judge(ours.Goroutines <= 8)},
		row{"the same: resident memory", mib(k.memory), "pro-bing " + mib(pk.memory), "≤ 25 MB", judge(k.memory <= 25e6)},
		row{"the same: false loss", fmt.Sprintf("%d of %d", loss, ours.Sent+burst.Sent), fmt.Sprintf("pro-bing %d of %d", bingLoss, theirs.Sent), "none", judge(loss == 0)},
	)
}

// fpingRow compares the processor time a probe with that of fping, which sends
// every so many milliseconds.
func fpingRow(s *stage, client *lab.Host, figure string, cpu time.Duration, spacing string) row {
	r := row{figure, micros(cpu), "fping is not installed", "≤ 1.1 × fping", unchecked}
	if !has("fping") {
		return r
	}
	args := []string{"-q", "-c", strconv.Itoa(rounds), "-p", "1000", "-i", spacing}
	for _, a := range targets(manyHosts) {
		args = append(args, a.String())
	}
	_, fk := s.process(client.Command("fping", args...))
	f := each(fk.cpu, manyHosts*rounds)
	r.peers, r.verdict = fmt.Sprintf("fping -i %s: %s", spacing, micros(f)), judge(float64(cpu) <= 1.1*float64(f))
	return r
}

func mib(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

var elapsedLine = regexp.MustCompile(`([0-9.]+) sec \(elapsed real time\)`)

// sweepRows are a whole prefix as fast as it goes, the median of several in
// turn: as a sweep is by default, with the kernel's times of receiving, and with
// those of sending too.
func sweepRows(s *stage, client *lab.Host, prefix string, hosts int) table {
	var ours, both, fping []float64
	lost := 0
	for range 7 {
		var a, b swept
		s.child(client, &a, "ours-sweep", prefix, "", "")
		s.child(client, &b, "ours-sweep", prefix, "both", "")
		ours = append(ours, float64(a.Hosts)/a.Elapsed.Seconds())
		both = append(both, float64(b.Hosts)/b.Elapsed.Seconds())
		lost += 2*hosts - a.Received - b.Received
		if !has("fping") {
			continue
		}
		_, k := s.process(client.Command("fping", "-q", "-s", "-r", "0", "-i", "0", "-g", prefix))
		if m := elapsedLine.FindStringSubmatch(k.stderr); m != nil {
			if sec, err := strconv.ParseFloat(m[1], 64); err == nil && sec > 0 {
				fping = append(fping, float64(hosts)/sec)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t := table{
		{fmt.Sprintf("sweep of %d hosts, probes a second (median of 7)", hosts), fmt.Sprintf("%s; %d lost", kilo(median(ours)), lost),
			"fping is not installed", "≥ 1.3 × fping", unchecked},
		{"the same with times of sending too", kilo(median(both)), "", "≥ 1.3 × fping", unchecked},
	}
	if len(fping) > 0 {
		f := median(fping)
		t[0].peers = "fping " + kilo(f)
		t[0].verdict = judge(median(ours) >= 1.3*f && lost == 0)
		t[1].peers, t[1].verdict = t[0].peers, judge(median(both) >= 1.3*f)
	}
	return t
}

func median(v []float64) float64    { slices.Sort(v); return v[len(v)/2] }
func kilo(perSecond float64) string { return fmt.Sprintf("%.0f k", perSecond/1000) }

// millionRows is one run far beyond the sequence numbers of ICMP.
func millionRows(s *stage, client *lab.Host) table {
	var m swept
	s.child(client, &m, "ours-sweep", "10.64.0.0/12", "", "witness")
	theirs := "fping is not installed"
	if has("fping") {
		out, k := s.process(client.Command("fping", "-q", "-s", "-r", "0", "-i", "0", "-g", "10.64.0.0/15"))
		theirs = "fping goes through"
		if text := string(out) + k.stderr; strings.Contains(text, "sequence numbers") {
			theirs = "fping ends at 65,535 in 10 s"
		}
	}
	allocs := float64(m.Mallocs) / float64(m.Hosts)
	return table{
		{"1,048,574 probes in one run: answered", fmt.Sprintf("%d in %.2f s", m.Received, m.Elapsed.Seconds()), theirs, "all", judge(m.Received == m.Hosts)},
		{"the same: longest pause", fmt.Sprintf("%v, with waiting for a processor %v", m.OwnPause.Round(time.Microsecond), m.Pause.Round(time.Microsecond)), "",
			"none (≤ 50 ms)", judge(m.OwnPause <= 50*time.Millisecond)},
		{"the same: allocations a probe", fmt.Sprintf("%.4f", allocs), "", "0", judge(allocs < 0.001)},
	}
}

// truthRow compares round-trip times with those on the wire.
func truthRow(s *stage, client *lab.Host, load string, busy bool) row {
	r := row{figure: "error of the round-trip time, 1,000 hosts, " + load, target: "median ≤ 2 µs, p99 ≤ 20 µs", verdict: unchecked}
	if !has("tcpdump") {
		r.ours = "tcpdump is not installed"
		return r
	}
	if busy {
		for range runtime.NumCPU() {
			c := client.Command("sh", "-c", "while :; do :; done")
			if err := c.Start(); err != nil {
				s.Fatal(err)
			}
			defer func() { c.Process.Kill(); c.Wait() }()
		}
	}
	words := func(child string) (string, time.Duration, time.Duration, int) {
		stop := s.onWire(client, "eth0")
		var p periodic
		s.child(client, &p, child, "1000", "5", "rtts")
		m, p99, n := errorsOf(p.RTTs, stop())
		return fmt.Sprintf("median %s, p99 %s of %d", micros(m), micros(p99), n), m, p99, n
	}
	var m, p99 time.Duration
	var n int
	r.ours, m, p99, n = words("ours-periodic")
	r.peers, _, _, _ = words("pro-bing-periodic")
	r.peers = "pro-bing " + r.peers
	if n > 0 {
		r.verdict = judge(m <= 2*time.Microsecond && p99 <= 20*time.Microsecond)
	}
	return r
}

func cancelRow(s *stage, client *lab.Host) row {
	var c cancelled
	s.child(client, &c, "ours-cancel", "10000")
	return row{
		figure: "10,000 start and cancel cycles",
		ours:   fmt.Sprintf("99.9 %% within %v, longest %v, %d goroutines and %d descriptors left", c.P999.Round(time.Microsecond), c.Longest.Round(time.Microsecond), c.Goroutines, c.Sockets),
		target: "nothing left, ≤ 10 ms", verdict: judge(c.Longest <= 10*time.Millisecond && c.Goroutines == 0 && c.Sockets == 0),
	}
}
