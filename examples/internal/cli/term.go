package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// IsTerminal reports whether a stream is a terminal. Each stream is asked for
// itself: standard output may be a pipe while standard error is a terminal.
func IsTerminal(stream any) bool {
	_, ok := ask(stream)
	return ok
}

// Width returns the columns of a terminal; of anything else, $COLUMNS or 80.
func Width(w io.Writer) int {
	if width, ok := ask(w); ok && width > 0 {
		return width
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}

// UTF8 reports whether the locale (LC_ALL, LC_CTYPE or LANG, the first that is
// set) has more than ASCII.
func UTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(os.Getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// ask returns what terminal says about a stream. It does not use Fd, which
// may make the descriptor a blocking one.
func ask(stream any) (width int, ok bool) {
	f, isFile := stream.(syscall.Conn)
	if !isFile {
		return 0, false
	}
	c, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = c.Control(func(fd uintptr) { width, ok = terminal(fd) })
	return width, ok && err == nil
}

// Palette paints text. The zero value does not: it is what a pipe gets.
type Palette struct{ on bool }

// Colors returns the Palette for a stream: colours only on a terminal, and
// neither when NO_COLOR is set (no-color.org) nor when TERM is "dumb".
func Colors(w io.Writer) Palette {
	return Palette{on: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(w)}
}

// On reports whether the Palette paints.
func (p Palette) On() bool { return p.on }

// Bold returns s in bold.
func (p Palette) Bold(s string) string { return p.paint("1", s) }

// Faint returns s in half intensity.
func (p Palette) Faint(s string) string { return p.paint("2", s) }

// Red returns s in red: it is broken.
func (p Palette) Red(s string) string { return p.paint("31", s) }

// Green returns s in green: it works.
func (p Palette) Green(s string) string { return p.paint("32", s) }

// Yellow returns s in yellow: look here.
func (p Palette) Yellow(s string) string { return p.paint("33", s) }

// Cyan returns s in cyan: a name.
func (p Palette) Cyan(s string) string { return p.paint("36", s) }

func (p Palette) paint(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
