package ifupdown

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

// state is what is up: lines "IF=STANZA" in the file ifstate, and for each
// interface a file ifstate.IF with the name of its stanza, which is locked while
// the interface is set. Debian's ifup keeps the same files with the same locks.
type state struct{ dir string }

// entry is an interface that is up, by its stanza.
type entry struct{ name, logical string }

// maxState bounds the file, whose writer need not be us.
const maxState = 1 << 20

func parseState(text []byte) (list []entry) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		name, logical, ok := strings.Cut(strings.TrimSpace(s.Text()), "=")
		if ok && name != "" && !slices.ContainsFunc(list, func(e entry) bool { return e.name == name }) {
			list = append(list, entry{name, logical})
		}
	}
	return list
}

// read reads the state. Where there is none, nothing is up.
func (s *state) read() ([]entry, error) {
	f, err := os.Open(filepath.Join(s.dir, "ifstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState))
	return parseState(text), err
}

// logical is the stanza of an interface that is up, or nothing.
func (s *state) logical(name string) string {
	entries, _ := s.read()
	for _, e := range entries {
		if e.name == name {
			return e.logical
		}
	}
	return ""
}

// hold is an interface that nobody else sets.
type hold struct {
	state   *state
	name    string
	file    *os.File
	logical string // the stanza that it is up with, or nothing
	pid     string // the file that says who sets it
}

// open opens a file that is to be locked, and makes the directory.
func (s *state) open(name string) (*os.File, error) {
	err := os.MkdirAll(s.dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644); err == nil {
			return f, nil
		}
	}
	return nil, operr.New("state", nil, err)
}

// wait locks a file. Busy is called once if somebody has it, with the process, 0
// if that cannot be seen.
func wait(ctx context.Context, f *os.File, busy func(pid int)) error {
	for {
		pid, err := lock(f)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
			return err
		}
		if busy != nil {
			busy(pid)
			busy = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// hold locks an interface.
func (s *state) hold(ctx context.Context, name, tool string, busy func(pid int)) (*hold, error) {
	f, err := s.open("ifstate." + name)
	if err != nil {
		return nil, err
	}
	h := &hold{state: s, name: name, file: f, pid: filepath.Join(s.dir, tool+"-"+name+".pid")}
	if err := wait(ctx, f, busy); err != nil {
		f.Close()
		return nil, operr.New("lock", f.Name(), err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err == nil {
		h.logical, _, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
		err = os.WriteFile(h.pid, []byte(strconv.Itoa(os.Getpid())), 0o644)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return h, nil
}

// mark writes which stanza the interface is up with, nothing if it is down.
func (h *hold) mark(logical string) error {
	// The file that is locked is the one that counts: an interface that is not begun
	// because the other cannot be written is not to count as up.
	err := h.state.mark(h.name, logical)
	if err == nil {
		err = h.file.Truncate(0)
	}
	if err == nil {
		_, err = h.file.WriteString(logical + "\n")
	}
	return err
}

// mark changes the line of an interface.
func (s *state) mark(name, logical string) error {
	guard, err := s.open(".ifstate.lock")
	if err != nil {
		return err
	}
	defer guard.Close()
	// Others hold it for the time of a rename. Ctrl-C does not keep the state from
	// being told as it is.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := wait(ctx, guard, nil); err != nil {
		return operr.New("lock", guard.Name(), err)
	}
	entries, err := s.read()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name })
	switch {
	case i >= 0 && logical == "":
		entries = slices.Delete(entries, i, i+1)
	case i >= 0:
		entries[i].logical = logical
	case logical != "":
		entries = append(entries, entry{name, logical})
	}
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.name + "=" + e.logical + "\n")
	}
	temporary := filepath.Join(s.dir, ".ifstate.tmp")
	if err := os.WriteFile(temporary, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(s.dir, "ifstate"))
}

// release lets others set the interface.
func (h *hold) release() {
	os.Remove(h.pid)
	h.file.Close()
}

// terminate asks the ifup that is setting the interface to end. It is the process
// that has the lock and says so in its file.
func (s *state) terminate(name string, owner int) {
	text, err := os.ReadFile(filepath.Join(s.dir, "ifup-"+name+".pid"))
	if err != nil || owner <= 1 || strings.TrimSpace(string(text)) != strconv.Itoa(owner) {
		return
	}
	if p, err := os.FindProcess(owner); err == nil {
		p.Signal(syscall.SIGTERM)
	}
}
