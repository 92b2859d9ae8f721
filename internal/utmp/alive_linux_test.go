package utmp

import (
	"os"
	"os/user"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	root, err := user.LookupId("0")
	if err != nil {
		t.Skip("needs a user with the id 0")
	}
	// No process has this number, so that the terminal's owner decides.
	r := Record{Type: UserProcess, PID: 1 << 30, User: root.Username, Line: "null", Time: time.Now()}
	if !Alive(r) {
		t.Error("not alive on a terminal of its own")
	}
	for name, change := range map[string]func(*Record){
		"no such user":     func(r *Record) { r.User = "nobody.by.this.name" },
		"no such terminal": func(r *Record) { r.Line = "pts/no-such" },
		"before this boot": func(r *Record) { r.Time = time.Unix(1, 0) },
	} {
		dead := r
		if change(&dead); Alive(dead) {
			t.Errorf("%s: alive", name)
		}
	}
}

func TestRunning(t *testing.T) {
	for pid, want := range map[int32]bool{int32(os.Getpid()): true, 1: true, 1 << 30: false, 0: true} {
		if got := Running(Record{PID: pid}); got != want {
			t.Errorf("process %d: %v", pid, got)
		}
	}
}
