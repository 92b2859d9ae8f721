package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// watched is what a child that watches reports of one watch.
type watched struct {
	Loss           trace.LossState
	Rate           float64
	Hop, After, At int
	End            int
	Hops           []float64 // loss shown at each hop
}

func registerTraceWatch() {
	register("ours-watch", func(args []string) (any, error) {
		interval, err := time.ParseDuration(args[1])
		if err != nil {
			return nil, err
		}
		return oursWatch(netip.MustParseAddr(args[0]), interval, number(args[2]), number(args[3]))
	})
}

// oursWatch watches the way to a target so many times at once, by ICMP.
func oursWatch(dst netip.Addr, interval time.Duration, rounds, runs int) ([]watched, error) {
	all, errs := make([]watched, runs), make([]error, runs)
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() {
			var r trace.Report
			for p, err := range (trace.ICMP{}).Watch(context.Background(), dst, &trace.WatchOptions{Interval: interval, Rounds: rounds}) {
				if errs[i] = err; err != nil {
					return
				}
				r.Add(p)
			}
			v := r.Verdict()
			all[i] = watched{Loss: v.Loss, Rate: v.Rate, Hop: v.Hop, After: v.After, At: v.At, End: v.End}
			for _, h := range r.Hops() {
				all[i].Hops = append(all[i].Hops, h.Loss)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compareTraceWatch is the table of trace's watch: five routers.
func compareTraceWatch(s *stage) table {
	return append(limitRows(s), append(lossRows(s), reportRow(s))...)
}

const watchRouters = 5

// limitRows are routers with the limits that Linux has by default.
func limitRows(s *stage) table {
	p := lab.Chain(s, watchRouters)
	for _, r := range p.Routers {
		for key, value := range map[string]string{
			"net/ipv4/icmp_ratelimit": "1000", "net/ipv4/icmp_ratemask": "6168", "net/ipv6/icmp/ratelimit": "1000", "net/ipv6/icmp/ratemask": "0-1,3-127",
		} {
			r.Sysctl(key, value)
		}
	}
	target4, target6 := p.Hops4[watchRouters].String(), p.Hops6[watchRouters].String()
	const runs = 5
	claimed, ended, loss := 0, 0, 0.0
	shown := make([]float64, watchRouters+1)
	for range runs {
		for _, target := range []string{target4, target6} {
			var got []watched
			s.child(p.Client, &got, "ours-watch", target, "100ms", "50", "1")
			w := got[0]
			if w.Loss == trace.LossReal {
				claimed++
				loss += w.Rate
			}
			if w.Loss == trace.LossNone && w.End == watchRouters+1 {
				ended++
			}
			for i, l := range w.Hops {
				shown[i] = max(shown[i], l)
			}
			time.Sleep(7 * time.Second) // the routers save up again
		}
	}
	loss /= 2 * runs
	ours := fmt.Sprintf("%.1f %%; \"none\" said in %d of %d runs (hops show up to %.0f %%)", loss*100, ended, 2*runs, slices.Max(shown)*100)
	r := row{"stock rate limits at 5 routers, 10 rounds/s: false loss", ours, "mtr is not installed", "< 1 %", judge(loss < 0.01 && claimed == 0 && ended == 2*runs)}
	if has("mtr") {
		out, _ := s.process(p.Client.Command("mtr", "-n", "-i", "0.1", "-c", "50", "--json", target4))
		r.peers = "mtr shows " + mtrLoss(s, out)
	}
	return table{r}
}

// mtrLoss returns the losses that mtr shows at the routers, in words.
func mtrLoss(s *stage, out []byte) string {
	var report struct {
		Report struct {
			Hubs []struct {
				Loss float64 `json:"Loss%"`
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Report.Hubs) <= watchRouters {
		s.Fatalf("mtr: %v: %s", err, out)
	}
	least, most := 100.0, 0.0
	for _, h := range report.Report.Hubs[:watchRouters] {
		least, most = min(least, h.Loss), max(most, h.Loss)
	}
	return fmt.Sprintf("%.0f to %.0f %% at each", least, most)
}

// lossRows are wires that lose 5 % before hop k.
func lossRows(s *stage) table {
	const rounds, batches, atOnce = 150, 3, 12
	var t table
	right, exact, impossible, runs := 0, 0, 0, 0
	for _, k := range []int{2, 4, watchRouters + 1} {
		p := lab.Chain(s, watchRouters, lab.WireAt{Link: k - 1, Out: lab.Impair{Loss: 0.05, Seed: uint64(k)}})
		for range batches {
			var got []watched
			s.child(p.Client, &got, "ours-watch", p.Hops4[watchRouters].String(), "25ms", fmt.Sprint(rounds), fmt.Sprint(atOnce))
			for _, w := range got {
				runs++
				if w.Loss != trace.LossReal {
					continue
				}
				if w.Hop == k {
					right++
				}
				if w.At == k && w.After == k-1 {
					exact++
				}
				if w.After >= k || w.At < k {
					impossible++
				}
			}
		}
	}
	share := func(n int) string { return fmt.Sprintf("%d of %d", n, runs) }
	return append(t,
		row{fmt.Sprintf("5 %% loss before hop 2, 4 or 6, %d rounds: right hop", rounds), share(right), "mtr names none", "≥ 95 of 100", judge(right*100 >= 95*runs)},
		row{"the same: no other hop possible; right one called impossible", share(exact) + "; " + share(impossible), "", "none called impossible in 95 of 100", judge(impossible*100 <= 5*runs)},
	)
}

// reportRow is how long a report of one round takes.
func reportRow(s *stage) row {
	p := lab.Chain(s, watchRouters)
	target := p.Hops4[watchRouters].String()
	var got []watched
	k := s.child(p.Client, &got, "ours-watch", target, "1s", "1", "1")
	r := row{"report of one round, 5 routers", k.wall.Round(time.Millisecond).String(), "mtr is not installed", "≤ 1/10 of mtr", unchecked}
	if has("mtr") {
		_, mk := s.process(p.Client.Command("mtr", "-n", "-r", "-c", "1", target))
		r.peers, r.verdict = "mtr -rc 1 "+mk.wall.Round(time.Millisecond).String(), judge(k.wall*10 <= mk.wall)
	}
	return r
}
