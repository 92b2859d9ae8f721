package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/utmp"
)

// row is a line of who.
type row struct {
	name, mesg, line, time, idle, pid, comment, exit string
}

// shown reports whether a record was asked for; mine is the terminal of -m.
func (o *options) shown(r utmp.Record, mine string) bool {
	if o.mine && (mine == "" || r.Line != mine) {
		return false
	}
	switch r.Type {
	case utmp.UserProcess:
		return o.users && user(r)
	case utmp.RunLevel:
		return o.runLevel
	case utmp.BootTime:
		return o.boot
	case utmp.NewTime:
		return o.clock
	case utmp.InitProcess:
		return o.spawned
	case utmp.LoginProcess:
		return o.login
	case utmp.DeadProcess:
		return o.dead
	}
	return false
}

func (o *options) print(records iter.Seq2[utmp.Record, error], mine string) error {
	layout := timeLayout()
	out := bufio.NewWriter(o.Stdout)
	if o.heading {
		o.write(out, len(layout), row{"NAME", " ", "LINE", "TIME", "IDLE", "PID", "COMMENT", "EXIT"})
	}
	var boot time.Time
	for r, err := range records {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if o.shown(r, mine) {
			cells := o.row(r, boot)
			cells.time = r.Time.Format(layout)
			o.write(out, len(layout), cells)
		}
		if r.Type == utmp.BootTime {
			boot = r.Time
		}
	}
	return out.Flush()
}

// row puts a record into the columns, but for its time.
func (o *options) row(r utmp.Record, boot time.Time) row {
	c := row{mesg: " ", line: cli.Escape(r.Line), pid: fmt.Sprint(r.PID), comment: "id=" + cli.Escape(r.ID)}
	switch r.Type {
	case utmp.UserProcess:
		c.name, c.comment = cli.Escape(r.User), ""
		c.mesg, c.idle = tty(r.Line, boot, time.Now())
		if r.Host != "" {
			c.comment = "(" + cli.Escape(r.Host) + ")"
		}
	case utmp.RunLevel:
		c = row{mesg: " ", line: strings.TrimRight("run-level "+level(r.PID), " ")}
		if last := strings.Replace(level(r.PID>>8), "N", "S", 1); last != "" {
			c.comment = "last=" + last
		}
	case utmp.BootTime:
		c = row{mesg: " ", line: "system boot"}
	case utmp.NewTime:
		c = row{mesg: " ", line: "clock change"}
	case utmp.LoginProcess:
		c.name = "LOGIN"
	case utmp.DeadProcess:
		c.exit = fmt.Sprintf("term=%d exit=%d", r.Termination, r.Exit)
	}
	return c
}

// level is a run level as init writes it, empty for none.
func level(b int32) string {
	if b &= 255; b <= ' ' || b > '~' {
		return ""
	}
	return string(rune(b))
}

func (o *options) write(out *bufio.Writer, timeWidth int, c row) {
	line := fmt.Sprintf("%-8s", c.name)
	if o.mesg {
		line += " " + c.mesg
	}
	line += fmt.Sprintf(" %-12s %-*s", c.line, timeWidth, c.time)
	if o.idle {
		line += fmt.Sprintf(" %-6s", c.idle)
	}
	if o.pid {
		line += fmt.Sprintf(" %10s", c.pid)
	}
	line += fmt.Sprintf(" %-8s", c.comment)
	if o.exit {
		line += " " + c.exit
	}
	out.WriteString(strings.TrimRight(line, " ") + "\n")
}

// timeLayout is that of the locale: the old one only where none is set.
func timeLayout() string {
	switch cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_TIME"), os.Getenv("LANG"), "C") {
	case "C", "POSIX":
		return "Jan _2 15:04"
	}
	return "2006-01-02 15:04"
}

// tty says whether others may write to a terminal, and how long nobody has
// typed there: "  .  " for less than a minute, " old " for more than a day or
// since before the boot.
func tty(line string, boot, now time.Time) (mesg, idle string) {
	if !strings.HasPrefix(line, "/") {
		line = "/dev/" + line
	}
	info, err := os.Stat(line)
	if err != nil {
		return "?", "  ?"
	}
	mesg = "-"
	if info.Mode()&0o020 != 0 {
		mesg = "+"
	}
	used := accessed(info)
	quiet := now.Truncate(time.Second).Sub(used.Truncate(time.Second)) // as the classic counts
	switch {
	case used.IsZero():
		return mesg, "  ?"
	case !used.After(boot) || quiet < 0 || quiet >= 24*time.Hour:
		return mesg, " old"
	case quiet < time.Minute:
		return mesg, "  ."
	}
	return mesg, fmt.Sprintf("%02d:%02d", int(quiet.Hours()), int(quiet.Minutes())%60)
}
