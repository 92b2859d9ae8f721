// Last shows who was logged in and when the system was started, from
// /var/log/wtmp, as last(1) does.
//
//	last -100           the last hundred
//	last -x             shutdowns, run levels and settings of the clock too
//	last -f FILE -F     another file, with full times
//	last root pts/0     of a user or on a terminal
//
// The exit code is 0, or 2 when the file could not be read. What cannot be a
// record is skipped and told on standard error. The file is read from its end,
// and no further than for the lines that are asked for.
//
// Differences from last: text from the file is escaped. A file without records
// "begins" when it was last changed. A shutdown without a boot behind it is
// still running, where last counts back to 1970. --json prints what was found,
// with the times as they are.
package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/utmp"
)

func main() { cli.Main("last", run) }

// options are the command line.
type options struct {
	*cli.Tool
	file                                           string
	limit                                          int
	hostLast, ip, system, full, wide, noHost, json bool
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("last", "[options] [USER or TTY]...", "Shows who was logged in, and when the system was started.", stdout, stderr)}
	o.Digits = "limit"
	f := o.Flags
	f.StringVarP(&o.file, "file", "f", "/var/log/wtmp", "the `FILE` to read")
	f.IntVarP(&o.limit, "limit", "n", 0, "at most `N` lines, as -N too; 0 is all")
	f.BoolVarP(&o.hostLast, "hostlast", "a", false, "the host in the last column")
	f.BoolVarP(&o.ip, "ip", "i", false, "addresses instead of the names of hosts")
	f.BoolVarP(&o.system, "system", "x", false, "shutdowns, run levels and settings of the clock too")
	f.BoolVarP(&o.full, "fulltimes", "F", false, "times with seconds and year")
	f.BoolVarP(&o.wide, "fullnames", "w", false, "names in full")
	f.BoolVarP(&o.noHost, "nohostname", "R", false, "no hosts")
	f.BoolVar(&o.json, "json", false, "what was found, as JSON")
	if code, done = o.Parse(args); !done && o.limit < 0 {
		code, done = o.Usage("%d lines?", o.limit), true
	}
	return o, code, done
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	file, err := utmp.Open(o.file)
	if err != nil {
		return o.Fail(err)
	}
	defer file.Close()
	corrupt := func(c utmp.Corrupt) { o.Warn("%s: %v", o.file, c) }
	sessions := o.asked(ctx, utmp.Sessions(file.Backward(corrupt), utmp.Alive))
	if o.json {
		err = o.printJSON(sessions)
	} else {
		err = o.print(sessions, file)
	}
	if err != nil {
		return o.Fail(err)
	}
	return cli.Yes
}

// asked are the sessions that are asked for, and an error when ctx ends.
func (o *options) asked(ctx context.Context, sessions iter.Seq2[utmp.Session, error]) iter.Seq2[utmp.Session, error] {
	return func(yield func(utmp.Session, error) bool) {
		n := 0
		for s, err := range sessions {
			if err == nil && ctx.Err() != nil {
				s, err = utmp.Session{}, context.Cause(ctx)
			}
			if err == nil && !o.shown(s) {
				continue
			}
			if n++; !yield(s, err) || err != nil || n == o.limit {
				return
			}
		}
	}
}

// shown reports whether a session is asked for: by the user, the terminal, or
// the terminal without "tty".
func (o *options) shown(s utmp.Session) bool {
	if s.System && !o.system {
		return false
	}
	return o.Flags.NArg() == 0 || slices.ContainsFunc(o.Flags.Args(), func(word string) bool {
		return word == s.User || word == terminal(s) || "tty"+word == terminal(s)
	})
}

func (o *options) print(sessions iter.Seq2[utmp.Session, error], file *utmp.File) error {
	out := bufio.NewWriter(o.Stdout)
	for s, err := range sessions {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if _, err := out.WriteString(strings.TrimRight(o.line(s), " ") + "\n"); err != nil {
			return err
		}
	}
	begin := file.Changed()
	if first, ok, err := file.First(); err != nil {
		return err
	} else if ok {
		begin = first.Time
	}
	out.WriteString("\n" + cli.Escape(filepath.Base(o.file)) + " begins " + begin.Format(time.ANSIC+"\n"))
	return out.Flush()
}

func (o *options) printJSON(sessions iter.Seq2[utmp.Session, error]) error {
	list := []utmp.Session{}
	for s, err := range sessions {
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	return cli.PrintJSON(o.Stdout, list)
}
