package utmp

import (
	"iter"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// End is how a session ended.
type End uint8

// The ends.
const (
	EndNone   End = iota // nothing that lasts: the clock was set
	EndLogout            // as it should, at Session.End
	EndStill             // it has not
	EndGone              // there is no logout, but the process is not there any more
	EndCrash             // the next boot came without a shutdown before
	EndDown              // the system was shut down meanwhile
)

var endNames = []string{"none", "logout", "still", "gone", "crash", "down"}

// String returns the word.
func (e End) String() string { return enum.String(endNames, "end", e) }

// MarshalText implements encoding.TextMarshaler.
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *End) UnmarshalText(b []byte) (err error) {
	*e, err = enum.Parse[End](endNames, "end", b)
	return err
}

// Session is a login, or a pseudo-login of the system, with its end.
type Session struct {
	Record
	// System is a shutdown, a run level or a setting of the clock: what last
	// shows with -x only. A boot is shown always.
	System bool      `json:"system,omitzero"`
	How    End       `json:"how"`
	End    time.Time `json:"end,omitzero"` // zero for EndStill, EndGone and EndNone
}

// Duration returns how long it lasted, in whole seconds as last counts them:
// below zero when the clock was set back, 0 where it has not ended.
func (s Session) Duration() time.Duration {
	if s.End.IsZero() {
		return 0
	}
	return time.Duration(s.End.Unix()-s.Time.Unix()) * time.Second
}

// Sessions finds the sessions in records of wtmp, the newest first, by the
// rules of last(1); records are those of [File.Backward], whose error ends it.
// The line of a system's record is in last's words, such as "system boot". A
// boot is taken to have ended at the next shutdown, even when a crash came in
// between. The function alive is asked whether the process of a login without
// an end is still there; nil: it is.
func Sessions(records iter.Seq2[Record, error], alive func(Record) bool) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		w := walk{logouts: map[string]time.Time{}, alive: alive}
		for r, err := range records {
			if err != nil {
				yield(Session{}, err)
				return
			}
			w.found = false
			if w.add(r); w.found && !yield(w.session, nil) {
				return
			}
		}
	}
}

// walk goes through the records backwards and remembers what it met, which is
// what came later. A time is zero as long as nothing of the kind was met.
type walk struct {
	session Session // of the last record, if found
	found   bool
	alive   func(Record) bool
	logouts map[string]time.Time // by line: how the next login there ends
	boot    time.Time            // or shutdown: all logins before have ended by then
	why     End                  // of those without a logout
	down    time.Time            // the shutdown
	level   time.Time            // the change of run level, or the shutdown
}

func (w *walk) add(r Record) {
	switch kind(r) {
	case shutdown:
		r.Line = "system down"
		w.system(r, w.boot)
		w.down, w.level = r.Time, r.Time
		w.barrier(r.Time, EndDown)
	case oldTime:
		r.Line = "old time"
		w.is(Session{Record: r, System: true})
	case newTime:
		r.Line = "new time"
		w.is(Session{Record: r, System: true})
	case boot:
		r.Line = "system boot"
		w.is(ended(r, w.down))
		w.barrier(r.Time, EndCrash)
	case runLevel:
		level := byte(r.PID)
		r.Line = "(to lvl " + strings.TrimRight(string(rune(level)), "\x00") + ")"
		w.system(r, w.level)
		w.level = r.Time
		if level == '0' || level == '6' {
			w.down = r.Time
			w.barrier(r.Time, EndDown)
		}
	case login:
		w.login(r)
		if r.Line != "" {
			w.logouts[r.Line] = r.Time // of who was there before
		}
	case logout:
		w.logouts[r.Line] = r.Time
	}
}

func (w *walk) is(s Session) { w.session, w.found = s, true }

// barrier ends every login from before.
func (w *walk) barrier(at time.Time, why End) {
	w.boot, w.why = at, why
	clear(w.logouts)
}

func (w *walk) system(r Record, end time.Time) {
	s := ended(r, end)
	s.System = true
	w.is(s)
}

// ended is a session until then; zero: until now.
func ended(r Record, end time.Time) Session {
	if end.IsZero() {
		return Session{Record: r, How: EndStill}
	}
	return Session{Record: r, How: EndLogout, End: end}
}

func (w *walk) login(r Record) {
	end, found := w.logouts[r.Line]
	s := ended(r, end)
	switch {
	case found:
	case !w.boot.IsZero():
		s.How, s.End = w.why, w.boot
	case w.alive != nil && !w.alive(r):
		s.How = EndGone
	}
	w.is(s)
}

// event is what a record means to last.
type event uint8

const (
	nothing event = iota
	login
	logout
	boot
	shutdown
	runLevel
	oldTime
	newTime
)

// kind sees through the types that old programs write.
func kind(r Record) event {
	if strings.HasPrefix(r.Line, "~") {
		switch {
		case strings.HasPrefix(r.User, "shutdown"):
			return shutdown
		case strings.HasPrefix(r.User, "reboot"):
			return boot
		case strings.HasPrefix(r.User, "runlevel"):
			return runLevel
		}
		return byType(r)
	}
	switch {
	case r.User == "":
		r.Type = DeadProcess
	case r.User == "date" && strings.HasPrefix(r.Line, "|"):
		return oldTime
	case r.User == "date" && strings.HasPrefix(r.Line, "{"):
		return newTime
	case r.Type != DeadProcess && r.Line != "" && r.User != "LOGIN":
		r.Type = UserProcess
	}
	return byType(r)
}

func byType(r Record) event {
	switch r.Type {
	case UserProcess:
		return login
	case DeadProcess:
		if r.Line == "" {
			return nothing
		}
		return logout
	case BootTime:
		return boot
	case RunLevel:
		return runLevel
	case OldTime:
		return oldTime
	case NewTime:
		return newTime
	}
	return nothing
}
