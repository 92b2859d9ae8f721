package sockets

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// walkNeed is what lets one see the descriptors of every process: the first to
// open the folder, the second to read its links.
const walkNeed = "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE"

// mayWalk reports whether this thread has what walkNeed names, so that the
// reason of a refusal is another one, such as a security module. Capabilities
// of a user namespace do not count for the processes outside.
func mayWalk() bool {
	users, err := os.ReadFile(procRoot + "/thread-self/uid_map")
	if err != nil || strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295" {
		return false
	}
	var caps [2]unix.CapUserData
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if unix.Capget(&hdr, &caps[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_SYS_PTRACE
	return caps[0].Effective&need == need
}

// maxWalkers bounds how many goroutines walk. Each works in its own processes,
// since the kernel locks a process's descriptors.
const maxWalkers = 4

// findOwners looks through the descriptors of every process under root, which
// is "/proc" outside of tests, for the sockets of the table.
func (t *Table) findOwners(ctx context.Context, root string) error {
	wanted := make(map[uint32]struct{}, len(t.Sockets))
	for i := range t.Sockets {
		if inode := t.Sockets[i].Inode; inode != 0 {
			wanted[inode] = struct{}{}
		}
	}
	// Opened here, so that every walker sees the caller's own /proc.
	proc, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Walk.Err = (&os.PathError{Op: "open", Path: root, Err: err}).Error()
		t.assign(nil)
		return nil
	}
	defer unix.Close(proc)
	pids, err := processes(proc)
	if err != nil {
		t.Walk.Err = (&os.PathError{Op: "read", Path: root, Err: err}).Error()
	}

	walkers := make([]walker, min(maxWalkers, runtime.GOMAXPROCS(0), 1+len(pids)/16))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range walkers {
		w := &walkers[i]
		w.proc, w.wanted = proc, wanted
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(pids) {
					return
				}
				w.process(pids[n])
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var found []holding
	for i := range walkers {
		found = append(found, walkers[i].found...)
		t.Walk.Read += walkers[i].read
		t.Walk.Refused += walkers[i].refused
	}
	if t.Walk.Refused > 0 && !mayWalk() {
		t.Walk.Need = walkNeed
	}
	t.assign(found)
	return nil
}

// processes returns the numbers among the names of /proc.
func processes(proc int) (pids []int, err error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Getdents(proc, buf) })
		if n <= 0 || err != nil {
			return pids, err
		}
		entries(buf[:n], func(name []byte) {
			if pid, ok := number(name); ok {
				pids = append(pids, pid)
			}
		})
	}
}

// walker looks through processes, with buffers of its own.
type walker struct {
	proc   int // descriptor of /proc
	wanted map[uint32]struct{}
	found  []holding

	read, refused int

	dents [16 << 10]byte
	link  [64]byte // a link to a socket is shorter
}

// readlink reads a link among the descriptors of a process into w.link. It is
// the one call here that is made for every descriptor of the machine, so it
// does without the copies of the name that unix.Readlinkat makes.
func (w *walker) readlink(fds int, name []byte) (int, error) {
	for {
		// The kernel ends names with NUL, and so does the buffer that they lie in.
		n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(fds), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(&w.link[0])), uintptr(len(w.link)), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func (w *walker) process(pid int) {
	fds, err := w.open(strconv.Itoa(pid)+"/fd", unix.O_DIRECTORY)
	if err != nil {
		w.failed(err)
		return
	}
	defer unix.Close(fds)
	before, refused := len(w.found), false
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Getdents(fds, w.dents[:]) })
		if err != nil {
			w.failed(err)
			return
		}
		if n <= 0 {
			break
		}
		entries(w.dents[:n], func(name []byte) {
			if err := w.descriptor(fds, pid, name); err != nil {
				refused = refused || errors.Is(err, os.ErrPermission)
			}
		})
	}
	if refused {
		w.refused++
	} else {
		w.read++
	}
	if len(w.found) == before {
		return
	}
	name, program := w.names(pid)
	for i := before; i < len(w.found); i++ {
		w.found[i].Name, w.found[i].Program = name, program
	}
}

// failed counts a process that could not be looked into. One that has ended
// meanwhile is none.
func (w *walker) failed(err error) {
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESRCH) {
		w.refused++
	}
}

// descriptor looks at one descriptor of a process.
func (w *walker) descriptor(fds, pid int, name []byte) error {
	fd, ok := number(name)
	if !ok {
		return nil
	}
	n, err := w.readlink(fds, name)
	if err != nil {
		return err
	}
	if inode, ok := socketInode(w.link[:n]); ok {
		if _, ok := w.wanted[inode]; ok {
			w.found = append(w.found, holding{inode, Process{PID: pid, FD: fd}})
		}
	}
	return nil
}

// names returns the name of a process and that of its program.
func (w *walker) names(pid int) (name, program string) {
	dir := strconv.Itoa(pid)
	name = string(bytes.TrimSuffix(w.file(dir+"/comm"), []byte("\n")))
	return name, programName(w.file(dir + "/cmdline"))
}

// file returns the beginning of a file, nothing when it cannot be read.
func (w *walker) file(name string) []byte {
	fd, err := w.open(name, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, _ := ignoringEINTR(func() (int, error) { return unix.Read(fd, w.dents[:]) })
	return w.dents[:max(0, min(n, len(w.dents)))]
}

func (w *walker) open(name string, flags int) (fd int, err error) {
	return ignoringEINTR(func() (int, error) {
		return unix.Openat(w.proc, name, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
	})
}

func ignoringEINTR(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if err != unix.EINTR {
			return n, err
		}
	}
}
