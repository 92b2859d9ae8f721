package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	psnet "github.com/shirou/gopsutil/v4/net"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/sockets"
)

const (
	crowds   = 5 // processes
	perCrowd = 5_000
	manyTCP  = 2 * crowds * perCrowd // both ends of each connection
)

// listed is what a child that lists sockets again and again reports.
type listed struct {
	Sockets int
	Times   []float64 // ms
	Mallocs float64   // a list
}

func registerSockets() {
	register("crowd", func(args []string) (any, error) { return nil, crowd(number(args[0])) })
	register("ours-sockets", func(args []string) (any, error) {
		o := &sockets.Options{Protocols: []sockets.Protocol{sockets.TCP}}
		switch args[0] {
		case "processes":
			o.Processes = true
		case "info":
			o.Info = true
		case "listeners":
			o.States = []sockets.State{sockets.StateListen}
		case "port": // one connection of many
			o.Filter.Remote = []sockets.Endpoint{{From: 1}}
		}
		return timed(number(args[1]), func() (int, error) {
			list, err := sockets.List(context.Background(), o)
			return len(list), err
		})
	})
	register("gopsutil-sockets", func(args []string) (any, error) {
		return timed(number(args[0]), func() (int, error) {
			list, err := psnet.Connections("tcp")
			return len(list), err
		})
	})
}

// timed lists n times.
func timed(n int, list func() (int, error)) (l listed, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		start := time.Now()
		if l.Sockets, err = list(); err != nil {
			return l, err
		}
		l.Times = append(l.Times, time.Since(start).Seconds()*1000)
	}
	runtime.ReadMemStats(&after)
	l.Mallocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	return l, nil
}

// crowd opens connections to itself and keeps them until its input ends.
func crowd(n int) error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(l, 1000); err != nil {
		return err
	}
	at, err := unix.Getsockname(l)
	for range n {
		if err != nil {
			return err
		}
		var c int
		if c, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
			return err
		}
		if err := unix.Connect(c, at); err != nil {
			return err
		}
		_, _, err = unix.Accept(l)
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return err
}

// gather starts a process that keeps n connections open until the stage ends.
func (s *stage) gather(h *lab.Host, n int) {
	c, _, stdin := s.started(h.ChildCommand("crowd", false, strconv.Itoa(n)))
	s.Cleanup(func() { stdin.Close(); _ = c.Wait() })
}

// compareSockets is the table of package sockets.
func compareSockets(s *stage) table {
	host := lab.New(s).Host("host")
	few := s.median(host, "ours-sockets", "listeners", "21")
	ssFew := s.tool(host, 21, "ss", "-H", "-tln")
	for range crowds {
		s.gather(host, perCrowd)
	}
	var t table
	ours := s.median(host, "ours-sockets", "all", "11")
	ss := s.tool(host, 11, "ss", "-H", "-tan")
	gopsutil := s.median(host, "gopsutil-sockets", "3")
	what := fmt.Sprintf("%d TCP sockets, listed (median)", ours.Sockets)
	t = append(t,
		row{what, ours.words() + fmt.Sprintf(", %.0f allocations", ours.Mallocs), "ss -tan " + ss.words(), "≤ 0.5 × ss -tan", ss.judge(ours, 0.5)},
		row{"the same", ours.words(), "gopsutil " + gopsutil.words(), "≤ 0.1 × gopsutil", judge(ours.ms() <= 0.1*gopsutil.ms())})

	ours = s.median(host, "ours-sockets", "info", "11")
	ss = s.tool(host, 11, "ss", "-H", "-tani")
	t = append(t, row{"the same with tcp_info", ours.words(), "ss -tani " + ss.words(), "≤ 0.5 × ss -tani", ss.judge(ours, 0.5)})

	ours = s.median(host, "ours-sockets", "processes", "7")
	ss = s.tool(host, 7, "ss", "-H", "-tanp")
	t = append(t, row{"the same with owners", ours.words(), "ss -tanp " + ss.words(), "≤ 0.35 × ss -tanp", ss.judge(ours, 0.35)})

	many := s.median(host, "ours-sockets", "listeners", "21")
	ssMany := s.tool(host, 21, "ss", "-H", "-tln")
	t = append(t, row{"LISTEN only: without and with the crowd", few.words() + ", " + many.words(), "ss -tln " + ssFew.words() + ", " + ssMany.words(),
		"independent of the crowd (within 1 ms)", judge(many.ms()-few.ms() <= 1)})
	one := s.median(host, "ours-sockets", "port", "21")
	ssOne := s.tool(host, 21, "ss", "-H", "-tan", "dport = :1")
	return append(t, row{"one port of the crowd (filter)", one.words(), "ss -tan dport = :1 " + ssOne.words(), "≤ 1 × ss", ssOne.judge(one, 1)})
}

func (s *stage) median(h *lab.Host, child string, args ...string) (l listed) {
	s.child(h, &l, child, args...)
	return l
}

// tool times a program whose output nobody reads.
func (s *stage) tool(h *lab.Host, n int, name string, args ...string) (l listed) {
	if !has(name) {
		return l
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		s.Fatal(err)
	}
	defer null.Close()
	for range n {
		c := h.Command(name, args...)
		c.Stdout = null
		start := time.Now()
		if err := c.Run(); err != nil {
			s.Fatalf("%s: %v", name, err)
		}
		l.Times = append(l.Times, time.Since(start).Seconds()*1000)
	}
	return l
}

func (l listed) ms() float64 { return median(l.Times) }

func (l listed) words() string {
	if len(l.Times) == 0 {
		return "is not installed"
	}
	return fmt.Sprintf("%.1f ms", l.ms())
}

func (l listed) judge(ours listed, most float64) verdict {
	if len(l.Times) == 0 {
		return unchecked
	}
	return judge(ours.ms() <= most*l.ms())
}
