// Who shows who is logged in, from /var/run/utmp, as who(1) does.
//
//	who               users, terminals, since when, from where
//	who -a -H         everything in the file, with headings
//	who -b, who -r    when the system was started; its run level
//	who -q            names and how many
//	who -m, who am i  only the user on this terminal
//	who FILE          another file, such as /var/log/wtmp
//
// The exit code is 0, or 2 when the file could not be read. What cannot be a
// record is skipped and told on standard error.
//
// Differences from who: text from the file is escaped, a file that is not there
// is an error, and there is no --lookup and no --ips, since --json prints the
// records with their addresses. As with who, logins whose process is gone are
// left out of /var/run/utmp, and dates are of the form that the locale wants.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/utmp"
)

func main() { cli.Main("who", run) }

const systemFile = "/var/run/utmp"

// options are the command line.
type options struct {
	*cli.Tool
	all, boot, dead, login, spawned, runLevel, clock, users bool
	mine, count, heading, short, mesg, json                 bool
	file                                                    string
	pid, idle, exit                                         bool // columns
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("who", "[options] [FILE | am i]", "Shows who is logged in.", stdout, stderr), file: systemFile}
	f := o.Flags
	f.BoolVarP(&o.all, "all", "a", false, "as -b -d --login -p -r -t -T -u")
	f.BoolVarP(&o.boot, "boot", "b", false, "when the system was started")
	f.BoolVarP(&o.dead, "dead", "d", false, "processes that have ended")
	f.BoolVarP(&o.heading, "heading", "H", false, "headings")
	f.BoolVarP(&o.login, "login", "l", false, "terminals where somebody could log in")
	f.BoolVarP(&o.mine, "mine", "m", false, "only the user on the terminal of standard input")
	f.BoolVarP(&o.spawned, "process", "p", false, "processes of init")
	f.BoolVarP(&o.count, "count", "q", false, "names and how many")
	f.BoolVarP(&o.runLevel, "runlevel", "r", false, "the run level")
	f.BoolVarP(&o.short, "short", "s", false, "name, terminal, time and host only (the default)")
	f.BoolVarP(&o.clock, "time", "t", false, "when the clock was set")
	f.BoolVarP(&o.mesg, "mesg", "T", false, "whether the user takes messages: +, - or ?")
	also := f.BoolP("writable", "w", false, "as -T")
	f.BoolVarP(&o.users, "users", "u", false, "users with the idle time of their terminals")
	f.BoolVar(&o.json, "json", false, "the records, as JSON")
	if code, done = o.Parse(args); done {
		return o, code, done
	}
	switch f.NArg() {
	case 0:
	case 1:
		o.file = f.Arg(0)
	case 2:
		o.mine = true // who am i
	default:
		return o, o.Usage("what is %q?", f.Arg(2)), true
	}
	o.mesg = o.mesg || *also
	o.columns()
	return o, cli.Yes, false
}

// columns sets what follows from the options: which columns there are, and
// that users are meant when nothing was chosen.
func (o *options) columns() {
	if o.all {
		o.boot, o.dead, o.login, o.spawned, o.runLevel, o.clock, o.users, o.mesg = true, true, true, true, true, true, true, true
	}
	chosen := o.boot || o.dead || o.login || o.spawned || o.runLevel || o.clock || o.users
	o.exit = o.dead
	o.pid = chosen && !o.short || o.exit
	o.idle = o.pid && (o.dead || o.login || o.runLevel || o.users)
	o.users = o.users || !chosen
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	file, err := utmp.Open(o.file)
	if err != nil {
		return o.Fail(err)
	}
	defer file.Close()
	line := ""
	if o.mine {
		if line = terminal(stdin); line == "" {
			o.Warn("standard input is no terminal, so nobody is on it")
		}
	}
	records := o.records(ctx, file)
	switch {
	case o.json:
		err = o.printJSON(records, line)
	case o.count:
		err = o.counted(records)
	default:
		err = o.print(records, line)
	}
	if err != nil {
		return o.Fail(err)
	}
	return cli.Yes
}

func user(r utmp.Record) bool { return r.Type == utmp.UserProcess && r.User != "" }

// terminal is the name of the one that standard input is, without "/dev/".
func terminal(stdin io.Reader) string {
	f, ok := stdin.(*os.File)
	if !ok || !cli.IsTerminal(stdin) {
		return ""
	}
	name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	return strings.TrimPrefix(name, "/dev/")
}
