package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// winView is a run against one host, as the ping of Windows shows it. It counts
// every answer as received, also that of a router which says why not.
type winView struct {
	w      io.Writer
	host   string
	target target
	named  bool
	names  *cli.Names
	size   int
	stats  ping.Stats
	sent   int
	titled bool
	json   bool

	mu sync.Mutex // Ctrl-\ comes at any time
}

// windows is ping with the options and the lines of Windows.
func windows(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t := cli.New("ping", "--windows [options] HOST", "Asks a host for an echo, as the ping of Windows does.", stdout, stderr)
	f := t.Flags
	var o ping.Options
	forever := f.BoolP("forever", "t", false, "go on until Ctrl-C")
	named := f.BoolP("names", "a", false, "show the name of an address, if it is known by the first answer")
	count := f.IntP("count", "n", 4, "send `N` requests")
	size := f.IntP("size", "l", 32, "`bytes` of data")
	whole := f.BoolP("whole", "f", false, "set the don't-fragment bit")
	ttl := f.IntP("ttl", "i", 0, "set the `TTL`")
	f.IntVarP(&o.TOS, "tos", "v", 0, "set the TOS `byte`")
	timeout := f.IntP("timeout", "w", 4000, "`milliseconds` to wait for each reply")
	from := f.StringP("source", "S", "", "send from this `address`")
	s := &settings{deadline: new(time.Duration), device: new(string), changed: f.Changed}
	s.four = f.BoolP("ipv4", "4", false, "use IPv4")
	s.six = f.BoolP("ipv6", "6", false, "use IPv6")
	s.json = f.Bool("json", false, "print one JSON object a line")
	if code, done := t.Parse(args); done {
		return code
	}
	var err error
	if *from != "" {
		o.Source, err = netip.ParseAddr(*from)
	}
	switch {
	case f.NArg() != 1:
		return t.Usage("which host? One at a time")
	case *s.four && *s.six:
		return t.Usage("-4 and -6 do not go together")
	case err != nil:
		return t.Usage("-S: %q is no address", *from)
	case *count < 1 || *size < 0 || *size > 65500 || f.Changed("ttl") && (*ttl < 1 || *ttl > 255) || o.TOS < 0 || o.TOS > 255 || *timeout < 1:
		return t.Usage("bad value: -n and -w are 1 or more, -l is 0 to 65500, -i 1 to 255, -v 0 to 255")
	}
	o.TTL, o.Timeout, o.Size = *ttl, time.Duration(*timeout)*time.Millisecond, *size
	if o.Size == 0 {
		o.Size = -1
	}
	if *whole {
		o.Fragment = ping.FragmentDo
	}
	if *forever {
		*count = 0
	}
	s.opt = o
	return windowsRun(ctx, t, s, &winView{w: stdout, host: f.Arg(0), size: *size, named: *named, json: *s.json}, *count)
}

func windowsRun(ctx context.Context, t *cli.Tool, s *settings, v *winView, count int) int {
	to, err := lookup(ctx, s, v.host)
	switch {
	case ctx.Err() != nil:
		return cli.No
	case err != nil:
		fmt.Fprintf(t.Stderr, "Ping request could not find host %s. Please check the name and try again.\n", cli.Escape(v.host))
		return cli.No
	}
	engine, err := s.open()
	if err != nil {
		return t.Fail(err)
	}
	defer engine.Close()
	if v.target = to; v.named {
		v.names = cli.NewNames(ctx)
		defer v.names.Close()
		v.names.Host(to.addr)
	} else {
		v.title()
	}
	defer onQuit(v.statistics)()
	hosts := []netip.Addr{to.addr}
	for r, err := range engine.Stream(ctx, hosts, &ping.StreamOptions{Count: count}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			break
		}
		if v.json {
			v.stats.Add(&r)
			cli.JSONLine(v.w, &r)
			continue
		}
		v.take(&r)
	}
	if v.json {
		cli.JSONSummary(v.w, &v.stats)
	} else {
		v.statistics()
	}
	if v.stats.Received == 0 {
		return cli.No
	}
	return cli.Yes
}

// title is the first line; with -a it is written before the first answer, so
// that nothing waits for the name.
func (v *winView) title() {
	if v.titled || v.json {
		return
	}
	v.titled = true
	name := ""
	switch {
	case !v.target.literal:
		name = v.target.name
	case v.names != nil:
		name = v.names.Host(v.target.addr)
	}
	if name != "" {
		name = fmt.Sprintf("%s [%s]", cli.Escape(name), shown(v.target.addr))
	} else {
		name = shown(v.target.addr)
	}
	fmt.Fprintf(v.w, "\nPinging %s with %d bytes of data:\n", name, v.size)
}

func (v *winView) take(r *ping.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.title()
	if r.Outcome == ping.OutcomeLate || r.Outcome == ping.OutcomeDuplicate {
		return // it listens no more
	}
	v.sent++
	v.stats.Add(r)
	switch r.Outcome {
	case ping.OutcomeReply:
		fmt.Fprintf(v.w, "Reply from %s: %s\n", shown(r.From), v.reply(r))
	case ping.OutcomeICMPError:
		fmt.Fprintf(v.w, "Reply from %s: %s\n", shown(r.ICMP.From), winWords(r.ICMP))
	case ping.OutcomeLocalError:
		if tooLong(r) {
			fmt.Fprintln(v.w, "Packet needs to be fragmented but DF set.")
			return
		}
		fmt.Fprintf(v.w, "PING: transmit failed. General failure. (%s)\n", cli.Escape(r.Err))
	default:
		fmt.Fprintln(v.w, "Request timed out.")
	}
}

// reply is what is said about a reply; IPv6 has only its time.
func (v *winView) reply(r *ping.Result) string {
	took := "time<1ms"
	if ms := r.RTT.Milliseconds(); ms > 0 {
		took = fmt.Sprintf("time=%dms", ms)
	}
	if !r.From.Is4() {
		return took
	}
	return fmt.Sprintf("bytes=%d %s TTL=%d", r.Size-8, took, r.TTL)
}

// winWords says what Windows says about an ICMP error. It has one text for
// codes of the same sense.
func winWords(e *ping.ICMPError) string {
	if !e.From.Is4() {
		switch e.Type {
		case 1:
			words := []string{"Destination net unreachable.", "Destination prohibited.", "Destination scope mismatch.", "Destination host unreachable.", "Destination port unreachable."}
			if int(e.Code) < len(words) {
				return words[e.Code]
			}
			return "Destination unreachable."
		case 2:
			return "Packet needs to be fragmented but DF set."
		case 3:
			return []string{"TTL expired in transit.", "TTL expired during reassembly."}[min(e.Code, 1)]
		}
		return "Parameter problem."
	}
	switch {
	case e.Type == 3 && e.Code == 2:
		return "Destination protocol unreachable."
	case e.Type == 3 && e.Code == 3:
		return "Destination port unreachable."
	case e.Type == 3 && e.Code == 4:
		return "Packet needs to be fragmented but DF set."
	case e.Type == 3 && (e.Code == 1 || e.Code == 7 || e.Code == 8 || e.Code == 10 || e.Code == 12):
		return "Destination host unreachable."
	case e.Type == 3:
		return "Destination net unreachable."
	case e.Type == 11:
		return []string{"TTL expired in transit.", "TTL expired during reassembly."}[min(e.Code, 1)]
	}
	return "Parameter problem."
}

// statistics ends a run; Ctrl-\ shows it on the way, as Ctrl-Break does there.
func (v *winView) statistics() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sent == 0 {
		return
	}
	s := &v.stats
	received := s.Received + s.ICMPErrors
	lost := uint64(v.sent) - received
	fmt.Fprintf(v.w, "\nPing statistics for %s:\n    Packets: Sent = %d, Received = %d, Lost = %d (%d%% loss),\n",
		shown(v.target.addr), v.sent, received, lost, lost*100/uint64(v.sent))
	if received > 0 {
		fmt.Fprintf(v.w, "Approximate round trip times in milli-seconds:\n    Minimum = %dms, Maximum = %dms, Average = %dms\n",
			s.Min.Milliseconds(), s.Max.Milliseconds(), s.Mean().Milliseconds())
	}
}
