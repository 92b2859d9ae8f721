package diagnose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// runIn runs the procedure on a thread inside a host, as an agent does that
// looks after several namespaces. The files are the host's own, given by name,
// since the goroutines of the run are not on that thread.
func runIn(t *testing.T, ctx context.Context, h *lab.Host, target string, o diagnose.Options) (r diagnose.Report, err error) {
	t.Helper()
	parsed, err := diagnose.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	doErr := h.Do(func() error {
		r, err = diagnose.Run(ctx, parsed, &o)
		return nil
	})
	if doErr != nil {
		t.Fatal(doErr)
	}
	return r, err
}

// TestBudget gives a fault that takes three seconds to show a quarter of one:
// the run ends, and says what it had no time for.
func TestBudget(t *testing.T) {
	t.Parallel()
	n := build(t, 2)
	n.server.PowerOff()
	r, err := runIn(t, t.Context(), n.client, n.target(), diagnose.Options{Budget: 250 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Healthy() || r.Verdict.Code != "" {
		t.Errorf("a verdict without evidence: %s", dump(r))
	}
	for _, f := range r.Facts {
		if f.Name == diagnose.FactOpen && (f.State != diagnose.NotChecked || f.Why != "the time budget ran out") {
			t.Errorf("port.open is %v, %q; want not checked, for want of time", f.State, f.Why)
		}
	}
}

// TestCancel ends a run from outside: what was found until then is reported.
func TestCancel(t *testing.T) {
	t.Parallel()
	n := build(t, 2)
	n.server.PowerOff()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := runIn(t, ctx, n.client, n.target(), diagnose.Options{Budget: time.Hour, Progress: func(s diagnose.Step) {
		if s.ID == "path" && s.Why == diagnose.InProgress {
			cancel() // in the middle of it
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Healthy() || len(r.Facts) == 0 {
		t.Errorf("want a partial report, got %s", dump(r))
	}
}

// TestManyAtOnce runs the procedure for several networks in one process: each
// gets its own verdict.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 8 {
		n := build(t, 1)
		want, target := diagnose.Code(""), n.target()
		switch i % 3 {
		case 1:
			n.client.DelRoute(n.anywhere())
			want = diagnose.RouteNoDefault
		case 2:
			target, want = fmt.Sprintf("%s:%d", n.serverAddr, n.port+1), diagnose.SvcNotListening
		}
		wg.Go(func() {
			r, err := runIn(t, t.Context(), n.client, target, diagnose.Options{})
			if err != nil || r.Verdict.Code != want || r.Verdict.Reached != (want == "") {
				t.Errorf("network %d: got %q, %v, want %q\n%s", i, r.Verdict.Code, err, want, dump(r))
			}
		})
	}
	wg.Wait()
}

// TestNamespaceOption examines a namespace from outside of it.
func TestNamespaceOption(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	ns, err := os.Open(n.client.Netns())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	target, _ := diagnose.ParseTarget(n.target())
	r, err := diagnose.Run(t.Context(), target, &diagnose.Options{NetNS: int(ns.Fd())})
	if err != nil || !r.Healthy() {
		t.Errorf("got %v, %s", err, dump(r))
	}
}

func TestInterfaceOption(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	r, err := runIn(t, t.Context(), n.client, n.target(), diagnose.Options{Interface: n.clientIf})
	if err != nil || !r.Healthy() {
		t.Errorf("by %s: %v, %s", n.clientIf, err, dump(r))
	}
	_, err = runIn(t, t.Context(), n.client, n.target(), diagnose.Options{Interface: "nosuch0"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("by an interface that is not there: %v, want os.ErrNotExist", err)
	}
}

// TestProgress holds the steps to be told as they begin and as they end.
func TestProgress(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	began, ended := map[string]bool{}, map[string]diagnose.State{}
	r, err := runIn(t, t.Context(), n.client, n.target(), diagnose.Options{Progress: func(s diagnose.Step) {
		if s.Why == diagnose.InProgress {
			began[s.ID] = true
		} else {
			ended[s.ID] = s.State
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Steps {
		if !began[s.ID] || ended[s.ID] != s.State {
			t.Errorf("step %s: began %v, ended %v, want %v", s.ID, began[s.ID], ended[s.ID], s.State)
		}
	}
}

func BenchmarkHealthyPath(b *testing.B) {
	n := build(b, 2)
	var packets int
	for b.Loop() {
		packets = mustDiagnose(b, n, n.target(), "").Cost.Packets
	}
	b.ReportMetric(float64(packets), "packets")
}

// BenchmarkHostOff is the fault that takes longest to show.
func BenchmarkHostOff(b *testing.B) {
	n := build(b, 2)
	n.server.PowerOff()
	var packets int
	for b.Loop() {
		n.last().ForgetNeighbors()
		packets = mustDiagnose(b, n, n.target(), diagnose.PathHostUnreachable).Cost.Packets
	}
	b.ReportMetric(float64(packets), "packets")
}

func mustDiagnose(b *testing.B, n *network, target string, want diagnose.Code) (r diagnose.Report) {
	b.Helper()
	parsed, err := diagnose.ParseTarget(target)
	if err != nil {
		b.Fatal(err)
	}
	err = n.client.Do(func() (err error) {
		r, err = diagnose.Run(b.Context(), parsed, nil)
		return err
	})
	if err != nil || r.Verdict.Code != want || r.Verdict.Reached != (want == "") {
		b.Fatalf("got %q, %v, want %q\n%s", r.Verdict.Code, err, want, dump(r))
	}
	return r
}

// resolvConf is the client's, for a run in this process.
func resolvConf(t *testing.T, n *network) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(name, []byte("nameserver "+n.nsAddr.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
