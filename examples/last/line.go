package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/utmp"
)

// line writes a session in last's columns.
func (o *options) line(s utmp.Session) string {
	begin, end, length := o.times(s)
	name, host := cut(cli.Escape(s.User), 8, o.wide), cut(o.host(s), 16, o.wide || o.hostLast)
	head := fmt.Sprintf("%-8s %-12.12s", name, cli.Escape(terminal(s)))
	switch {
	case o.noHost:
		return fmt.Sprintf("%s %s %s %s", head, begin, end, length)
	case o.hostLast:
		return fmt.Sprintf("%s %s %s %-12.12s %s", head, begin, end, length, host)
	}
	return fmt.Sprintf("%s %-16s %s %s %s", head, host, begin, end, length)
}

func cut(s string, width int, whole bool) string {
	if r := []rune(s); !whole && len(r) > width {
		return string(r[:width])
	}
	return s
}

// host is where somebody came from; last has 0.0.0.0 for nowhere.
func (o *options) host(s utmp.Session) string {
	switch {
	case !o.ip:
		return cli.Escape(s.Host)
	case !s.Addr.IsValid():
		return "0.0.0.0"
	}
	return s.Addr.String()
}

// terminal is the line, without the number that ftp and uucp servers add.
func terminal(s utmp.Session) string {
	for _, service := range []string{"ftp", "uucp"} {
		if rest, ok := strings.CutPrefix(s.Line, service); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return service
		}
	}
	return s.Line
}

// times writes when a session began, when or how it ended, and how long it was.
func (o *options) times(s utmp.Session) (begin, end, length string) {
	layout, endLayout, width := "Mon Jan _2 15:04", "15:04", 7
	if o.full {
		layout, endLayout, width = time.ANSIC, time.ANSIC, 26
	}
	length = duration(s)
	switch s.How {
	case utmp.EndLogout:
		end = "- " + s.End.Format(endLayout)
	case utmp.EndCrash:
		end = "- crash"
	case utmp.EndDown:
		end = "- down "
	case utmp.EndStill:
		what := "logged in"
		if s.Type != utmp.UserProcess {
			what = "running"
		}
		end, length = o.halves("  still", what)
	case utmp.EndGone:
		if end, length = o.halves("   gone", "- no logout"); o.full {
			end = end[1:]
		}
	default:
		length = ""
	}
	return s.Time.Format(layout), fmt.Sprintf("%-*s", width, end), length
}

// halves are a remark over two columns, or in one that is wide enough.
func (o *options) halves(a, b string) (end, length string) {
	if o.full {
		return a + " " + b, ""
	}
	return a, b
}

// duration is "(days+hours:minutes)".
func duration(s utmp.Session) string {
	seconds := int64(s.Duration() / time.Second)
	days, hours, minutes := seconds/86400, seconds/3600%24, seconds/60%60
	switch {
	case seconds < 0 && days == 0 && hours == 0:
		return fmt.Sprintf(" (-00:%02d)", -minutes)
	case seconds < 0 && days == 0:
		return fmt.Sprintf(" (-%d:%02d)", -hours, -minutes)
	case seconds < 0:
		return fmt.Sprintf("(%d+%02d:%02d)", days, -hours, -minutes)
	case days > 0:
		return fmt.Sprintf("(%d+%02d:%02d)", days, hours, minutes)
	}
	return fmt.Sprintf(" (%02d:%02d)", hours, minutes)
}
