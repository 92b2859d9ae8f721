package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDiskIsReported(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, name := range []string{"flood", "snapshot"} { // the second says so itself
		cmd := tool(t, name)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		code := exitCode(cmd.Run())
		if code != Failed || !strings.HasPrefix(stderr.String(), name+": write ") || strings.Count(stderr.String(), "no space left") != 1 {
			t.Errorf("%s: exit code %d, standard error %q", name, code, stderr.String())
		}
	}
}

// pty returns both ends of a pseudo terminal of the given width.
func pty(t *testing.T, width uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestTerminal(t *testing.T) {
	_, slave := pty(t, 123)
	t.Setenv("COLUMNS", "60")
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !IsTerminal(slave) || Width(slave) != 123 || !Colors(slave).On() {
		t.Errorf("a terminal: IsTerminal %v, Width %d, colours %v", IsTerminal(slave), Width(slave), Colors(slave).On())
	}
	if !IsTerminal(&output{File: slave}) {
		t.Error("a terminal is not recognised behind Main's standard output")
	}
	t.Setenv("TERM", "dumb")
	if Colors(slave).On() {
		t.Error("colours on a dumb terminal")
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	if Colors(slave).On() {
		t.Error("colours in spite of NO_COLOR")
	}
}

func TestTerminalWithoutSize(t *testing.T) {
	_, slave := pty(t, 0)
	t.Setenv("COLUMNS", "60")
	if !IsTerminal(slave) || Width(slave) != 60 {
		t.Errorf("IsTerminal %v, Width %d, want true and $COLUMNS", IsTerminal(slave), Width(slave))
	}
}

func TestTerminalGetsIndentedJSONAndProgress(t *testing.T) {
	master, slave := pty(t, 40)
	t.Setenv("TERM", "xterm")
	if err := PrintJSON(slave, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	p := NewProgress(slave, "scan", 4)
	p.Add(1)
	p.Clear()
	fmt.Fprint(slave, "end")
	var got []byte
	for buf := make([]byte, 512); !bytes.HasSuffix(got, []byte("end")); {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	json, progress, _ := strings.Cut(strings.ReplaceAll(string(got), "\r\n", "\n"), "\r\x1b[K")
	if want := "{\n  \"a\": 1\n}\n"; json != want {
		t.Errorf("JSON on a terminal: %q, want %q", json, want)
	}
	if !strings.HasPrefix(progress, "scan  [######....") || !strings.HasSuffix(progress, "\r\x1b[Kend") {
		t.Errorf("progress on a terminal: %q", progress)
	}
}
