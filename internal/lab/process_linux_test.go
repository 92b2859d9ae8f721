package lab_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestRunChild(t *testing.T) {
	l := lab.New(t)
	h, far := l.Host("h"), l.Host("far")
	l.Connect(h.Port("lan7", "10.0.0.1/24"), far.Port("eth0"))
	h.Hosts("10.7.7.7 web1\n")
	for _, privileged := range []bool{true, false} {
		stdout, stderr, code, err := h.RunChild("report", privileged, "7", "-test.v", "x y")
		if err != nil || code != 7 || string(stderr) != "arguments [7 -test.v x y]\n" {
			t.Errorf("exit code %d, %v, %q", code, err, stderr)
		}
		out := string(stdout)
		for _, want := range []string{"interface lo\n", "interface lan7\n", "sys lan7\n", `hosts "10.7.7.7 web1\n"`} {
			if !strings.Contains(out, want) {
				t.Errorf("privileged %v: no %q in\n%s", privileged, want, out)
			}
		}
		if strings.Contains(out, "CapEff: 0000000000000000\n") == privileged {
			t.Errorf("privileged %v:\n%s", privileged, out)
		}
		for _, set := range []string{"CapInh", "CapPrm", "CapAmb"} {
			if !privileged && !strings.Contains(out, set+": 0000000000000000\n") {
				t.Errorf("%s is not empty:\n%s", set, out)
			}
		}
	}
}

func TestUnprivilegedProcess(t *testing.T) {
	need(t, "ip")
	h := lab.New(t).Host("h")
	if out, err := h.Output("ip", "link", "set", "lo", "mtu", "1400"); err != nil {
		t.Errorf("with privileges: %v %s", err, out)
	}
	if _, err := h.OutputUnprivileged("ip", "link", "set", "lo", "mtu", "1500"); err == nil || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("without privileges: %v", err)
	}
}

// openICMP tries both ways to open an ICMP socket.
func openICMP() (datagram, raw error) {
	for i, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_RAW} {
		fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err == nil {
			unix.Close(fd)
		}
		if i == 0 {
			datagram = err
		} else {
			raw = err
		}
	}
	return datagram, raw
}

func TestDoUnprivileged(t *testing.T) {
	l := lab.New(t)
	open, closed := l.Host("open"), l.Host("closed")
	closed.Sysctl("net/ipv4/ping_group_range", "1 0")
	for _, c := range []struct {
		h             *lab.Host
		unprivileged  bool
		datagram, raw error
	}{
		{open, false, nil, nil}, {open, true, nil, unix.EPERM},
		{closed, false, unix.EACCES, nil}, {closed, true, unix.EACCES, unix.EPERM},
	} {
		do := c.h.Do
		if c.unprivileged {
			do = c.h.DoUnprivileged
		}
		var datagram, raw error
		err := do(func() error { datagram, raw = openICMP(); return nil })
		if err != nil || !errors.Is(datagram, c.datagram) || !errors.Is(raw, c.raw) {
			t.Errorf("%s, unprivileged %v: %v, datagram socket: %v, raw socket: %v", c.h.Name, c.unprivileged, err, datagram, raw)
		}
	}
}

func TestDo(t *testing.T) {
	l := lab.New(t)
	h, far := l.Host("h"), l.Host("far")
	l.Connect(h.Port("eth0", "10.0.0.1/24"), far.Port("eth0"))
	before, _ := os.Readlink("/proc/self/ns/net")
	dir, _ := os.Getwd()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			err := h.Do(func() error {
				if here, err := os.Getwd(); here != dir {
					t.Errorf("working directory %s, %v; want %s", here, err, dir)
				}
				if _, err := os.Stat("main_test.go"); err != nil && exists(dir+"/main_test.go") {
					t.Error(err)
				}
				_, err := net.InterfaceByName("eth0")
				runtime.Gosched()
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if after, _ := os.Readlink("/proc/self/ns/net"); after != before {
		t.Errorf("the process has moved from %s to %s", before, after)
	}
	want := errors.New("mine")
	if err := h.Do(func() error { return want }); err != want {
		t.Errorf("error %v", err)
	}
	ended, goesOn := make(chan bool), false
	go func() {
		defer close(ended)
		h.Do(func() error { runtime.Goexit(); return nil }) // as t.Fatal does
		goesOn = true
	}()
	if <-ended; goesOn {
		t.Error("a test cannot be ended from inside Do")
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// TestNothingStays looks for what a lab with everything in it leaves behind.
func TestNothingStays(t *testing.T) {
	need(t, "sleep")
	count := func() (fds int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	var pid int
	var namespace string
	fds, goroutines := count(), runtime.NumGoroutine()
	t.Run("lab", func(t *testing.T) {
		p := lab.Chain(t, 2, lab.WireAt{Link: 1, Out: lab.Impair{Delay: time.Hour}})
		p.Server.ServeDNS(":53", lab.Zone{Origin: "."}.Answer)
		p.Server.ListenTCP(":7", lab.Echo)
		p.Server.Filter(lab.Input, lab.Rule{})
		pings(t, p.Client, p.Hops4[2].String()) // in the wire for an hour
		p.Client.Do(func() (err error) { namespace, err = os.Readlink("/proc/thread-self/ns/net"); return err })
		sleep := p.Client.Command("sleep", "1000")
		if err := sleep.Start(); err != nil {
			t.Fatal(err)
		}
		pid = sleep.Process.Pid
	})
	for range 100 { // threads and goroutines may need a moment
		if count() <= fds && runtime.NumGoroutine() <= goroutines && threadsIn(namespace) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := count(); n > fds {
		t.Errorf("%d descriptors, were %d", n, fds)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, were %d", n, goroutines)
	}
	if n := threadsIn(namespace); n != 0 || namespace == "" {
		t.Errorf("%d threads in namespace %q of a host", n, namespace)
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d of a host: %v", pid, err)
	}
}

func threadsIn(namespace string) (n int) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if id, _ := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net"); id == namespace {
			n++
		}
	}
	return n
}

func TestCommand(t *testing.T) {
	need(t, "cat")
	h := lab.New(t).Host("h")
	cmd := h.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "through")
	in.Close()
	if b, err := io.ReadAll(out); err != nil || string(b) != "through" {
		t.Errorf("%q, %v", b, err)
	}
	if err := cmd.Wait(); err != nil || cmd.Wait() != nil {
		t.Error(err)
	}
	if out, err := h.Output("cat", "/nowhere"); err == nil || len(out) != 0 || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := h.Output("/nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
