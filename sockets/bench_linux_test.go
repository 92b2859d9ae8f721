package sockets

import (
	"context"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/sock"
)

// crowd is a host with n established connections of this process to itself,
// both ends counted. It is as many as the limit of descriptors leaves room for.
func crowd(b *testing.B, n int) *lab.Host {
	b.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	n = min(n, int(limit.Cur)-200)
	host := lab.New(b).Host("host")
	fds := make([]int, 0, n)
	b.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	check(host.Do(func() error {
		ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(err)
		fds = append(fds, ln)
		check(unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		check(unix.Listen(ln, 128))
		sa, err := unix.Getsockname(ln)
		check(err)
		for len(fds)+2 <= n {
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			check(err)
			fds = append(fds, c)
			check(unix.Connect(c, sock.Sockaddr(sock.AddrPort(sa))))
			s, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
			check(err)
			fds = append(fds, s)
		}
		return nil
	}))
	return host
}

func benchmarkRead(b *testing.B, o Options) {
	host := crowd(b, 10_000)
	b.ReportAllocs()
	total := 0
	err := host.Do(func() error {
		for b.Loop() {
			t, err := Read(context.Background(), &o)
			if err != nil {
				return err
			}
			total = len(t.Sockets)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(total), "sockets")
}

func BenchmarkList(b *testing.B) { benchmarkRead(b, Options{Protocols: []Protocol{TCP}}) }

func BenchmarkListWithProcesses(b *testing.B) {
	benchmarkRead(b, Options{Protocols: []Protocol{TCP}, Processes: true})
}

// BenchmarkListeners must not cost more on a host with many connections.
func BenchmarkListeners(b *testing.B) {
	benchmarkRead(b, Options{Protocols: []Protocol{TCP}, States: []State{StateListen}})
}

func BenchmarkFromProc(b *testing.B) {
	host := crowd(b, 10_000)
	b.ReportAllocs()
	err := host.Do(func() error {
		for b.Loop() {
			l := fromProc(Options{Protocols: []Protocol{TCP}}, procRoot)
			if _, err := l.table(context.Background()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSS(b *testing.B) {
	needsTool(b, "ss")
	host := crowd(b, 10_000)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for name, args := range map[string]string{"tan": "-tan", "tanp": "-tanp", "tln": "-tln"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c := host.Command("ss", "-H", args)
				c.Stdout = null
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
