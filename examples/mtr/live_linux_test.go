package main

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// shot is a simulated terminal that keeps what was shown last.
type shot struct {
	tcell.SimulationScreen
	mu    sync.Mutex
	lines []string
}

func (s *shot) Show() {
	s.SimulationScreen.Show()
	var lines []string
	cells, w, h := s.GetContents()
	for y := range h {
		var b strings.Builder
		for _, c := range cells[y*w : (y+1)*w] {
			b.WriteString(string(c.Runes))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = lines
}

// screen returns a simulated terminal and how to read it.
func screen(t *testing.T, width, height int) (*shot, func() []string) {
	t.Helper()
	s := &shot{SimulationScreen: tcell.NewSimulationScreen("UTF-8"), lines: make([]string, height)}
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	s.SetSize(width, height)
	return s, func() []string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.lines
	}
}

// still is a view of what has been seen, that watches nothing.
func still(t *testing.T, width, height int, args ...string) (*view, func() []string) {
	t.Helper()
	w := &session{settings: made(args...).settings}
	seen := made(args...)
	w.host, w.dst = seen.host, seen.dst
	w.now, w.charts = seen.now, map[int]*chart{}
	for ttl := 1; ttl <= 3; ttl++ {
		w.charts[ttl] = &chart{}
	}
	for round := 1; round <= 4; round++ {
		for ttl := 1; ttl <= 2; ttl++ {
			w.charts[ttl].rounds[round], w.charts[ttl].rtts[round] = round, time.Duration(ttl*round)*time.Millisecond
		}
		w.charts[3].rounds[round], w.charts[3].rtts[round], w.charts[1].newest = round, lost, 4
	}
	s, read := screen(t, width, height)
	t.Cleanup(s.Fini)
	return &view{session: w, screen: s, ctx: t.Context(), mode: *w.mode}, read
}

func expect(t *testing.T, lines []string, want map[int]string) {
	t.Helper()
	for y, text := range want {
		if lines[y] != text {
			t.Errorf("line %d is %q, want %q", y, lines[y], text)
		}
	}
}

func TestNumbers(t *testing.T) {
	v, read := still(t, 80, 24, "-n")
	v.draw()
	expect(t, read(), map[int]string{
		0: "                           My traceroute  [netsonde]",
		2: "Keys:  Help   Display mode   Restart statistics   quit",
		4: " Host                                 Loss%   Snt   Last   Avg  Best  Wrst StDev",
		5: " 1. 192.0.2.1                          0.0%     4    4.0   2.5   1.0   4.0   1.3",
		6: " 2. 198.51.100.2                       0.0%     4    8.0   5.0   2.0   8.0   2.6",
		7: "    192.0.2.2",
		8: " 3. (waiting for reply)               100.0     4    0.0   0.0   0.0   0.0   0.0",
	})
	if !strings.HasPrefix(read()[21], "No loss seen: hop 2 (198.51.100.2) answered all 4 probes") {
		t.Errorf("the verdict is %q", read()[21])
	}
}

// Key y shows one thing after the other, z the first one.
func TestInfoKeys(t *testing.T) {
	v, read := still(t, 80, 24, "-n")
	v.as = cli.NewLookups(t.Context(), func(context.Context, string) ([]string, error) {
		return []string{"AS64500|192.0.2.0/24 | XX | test | 2001-02-03"}, nil
	})
	defer v.as.Close()
	v.system(netip.MustParseAddr("192.0.2.1"))
	v.as.Wait(time.Minute)
	for _, step := range []struct{ keys, want string }{
		{"y", "AS64500  "}, {"y", "192.0.2.0/24       "}, {"y", "XX  "}, {"y", "test    "}, {"y", "2001-02-03 "}, {"y", ""}, {"z", "AS64500  "}, {"z", ""}, {"yyz", ""},
	} {
		for _, r := range step.keys {
			v.key(tcell.NewEventKey(tcell.KeyRune, r, 0))
		}
		v.draw()
		if want := " 1. " + step.want + "192.0.2.1 "; !strings.HasPrefix(read()[5], want) {
			t.Errorf("after %q the line is %q, want %q", step.keys, read()[5], want)
		}
	}
}

// What is longer than its column is not cut.
func TestLongInfo(t *testing.T) {
	v, _ := still(t, 80, 24, "-n", "-z")
	a := netip.MustParseAddr("192.0.2.1")
	v.as = cli.NewLookups(t.Context(), func(context.Context, string) ([]string, error) {
		return []string{"AS4200000001/AS64500|2001:db8:1234::/48"}, nil
	})
	defer v.as.Close()
	v.system(a)
	v.as.Wait(time.Minute)
	for info, want := range []string{"AS4200000001/AS64500 ", "2001:db8:1234::/48 "} {
		if *v.info = info; v.column(a) != want {
			t.Errorf("%q, want %q", v.column(a), want)
		}
	}
}

// Sixty columns are enough, and few lines can be scrolled.
func TestSmallScreen(t *testing.T) {
	v, read := still(t, 60, 10, "-n", "-e")
	v.draw()
	expect(t, read(), map[int]string{
		4: " Host             Loss%   Snt   Last   Avg  Best  Wrst StDev",
		5: " 1. 192.0.2.1      0.0%     4    4.0   2.5   1.0   4.0   1.3",
		6: "    [MPLS: Lbl 16001 TC 0 S 1 TTL 1]",
	})
	for range 20 {
		v.key(tcell.NewEventKey(tcell.KeyRune, '+', 0))
		v.key(tcell.NewEventKey(tcell.KeyRune, '+', 0))
		v.draw()
	}
	expect(t, read(), map[int]string{6: " 3. (waiting for  100.0     4    0.0   0.0   0.0   0.0   0.0"})
	for _, size := range [][2]int{{1, 1}, {10, 3}, {20, 6}, {300, 100}} {
		v, _ := still(t, size[0], size[1], "-n")
		for range 3 {
			v.draw()
			v.key(tcell.NewEventKey(tcell.KeyRune, 'd', 0))
		}
		v.help = true
		v.draw()
	}
}

func TestCharts(t *testing.T) {
	v, read := still(t, 80, 24, "-n", "--displaymode", "1")
	v.draw()
	blank := strings.Repeat(" ", 48-4)
	expect(t, read(), map[int]string{
		4:  " Host                           Last 48 pings",
		5:  " 1. 192.0.2.1                   " + blank + "▂▃▄▅",
		6:  " 2. 198.51.100.2                " + blank + "▃▅▇█",
		8:  " 3. (waiting for reply)         " + blank + "????",
		21: "Scale: ▁ to 1.0 ms … █ 8.0 ms   ? no answer",
	})
	v.key(tcell.NewEventKey(tcell.KeyRune, 'd', 0))
	v.draw()
	if line := read()[6]; !strings.HasPrefix(line, " 2. 198.51.100.2") || !strings.Contains(line, "  0.0%     4   8.0") || !strings.HasSuffix(line, "▃▅▇█") {
		t.Errorf("numbers and a chart: %q", line)
	}
}

// A whole run with keys, on the loopback.
func TestKeys(t *testing.T) {
	s, read := screen(t, 80, 24)
	w := made("-n", "-u", "-i", "0.02")
	*w = session{settings: w.settings, host: "localhost", dst: loopback}
	v := &view{session: w, screen: s, ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.loop()
	}()
	await := func(what string, cond func([]string) bool) {
		t.Helper()
		for range 3000 {
			if cond(read()) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s: %q", what, read()[:8])
	}
	has := func(y int, text string) func([]string) bool {
		return func(lines []string) bool { return strings.Contains(lines[y], text) }
	}
	key := func(r rune) { s.InjectKey(tcell.KeyRune, r, 0) }
	await("a hop", has(5, " 1. 127.0.0.1"))
	key('j')
	await("jitter", has(4, "Jttr Javg Jmax Jint"))
	key('j')
	await("times", has(4, "Best  Wrst StDev"))
	key('d')
	await("charts", has(4, "Last 48 pings"))
	key('d')
	key('d')
	key('h')
	await("help", has(14, "press any key to go back..."))
	key('x')
	key('p')
	await("a pause", has(3, "Paused"))
	before := read()[5]
	key('r')
	await("nothing", func(l []string) bool { return l[5] == "" && before != "" })
	key(' ')
	await("a hop again", has(5, " 1. 127.0.0.1"))
	s.SetSize(60, 20)
	await("60 columns", func(l []string) bool { return len(l) == 20 && strings.HasSuffix(l[4], "StDev") && len(l[4]) == 60 })
	key('r')
	await("a hop after a restart", has(5, " 1. 127.0.0.1"))
	key('q')
	<-done
	s.Fini()
}

// The end of the rounds, Ctrl-C and a context that ends all leave the screen.
func TestLeave(t *testing.T) {
	for _, how := range []string{"rounds", "ctrl-c", "context"} {
		s, _ := screen(t, 80, 24)
		w := made("-n", "-u", "-i", "0.02")
		*w = session{settings: w.settings, host: "localhost", dst: loopback}
		ctx, cancel := context.WithCancel(t.Context())
		switch how {
		case "rounds":
			w.wo.Rounds = 2
		case "ctrl-c":
			s.InjectKey(tcell.KeyCtrlC, 0, tcell.ModCtrl)
		case "context":
			cancel()
		}
		(&view{session: w, screen: s, ctx: ctx}).loop()
		if how == "rounds" && w.result().Rounds != 2 {
			t.Errorf("%d rounds", w.result().Rounds)
		}
		if w.left != (how == "ctrl-c") {
			t.Errorf("%s: no further host is watched: %v", how, w.left)
		}
		cancel()
		s.Fini()
	}
}
