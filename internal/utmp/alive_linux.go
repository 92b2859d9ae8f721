package utmp

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Alive reports whether the process of a login is still there and is this
// user's: by the login user id of the process, which survives su and exec, or,
// without one, by the owner of the terminal. A login from before this boot is
// not.
func Alive(r Record) bool {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err == nil && r.Time.Before(time.Now().Add(-time.Duration(up.Nano()))) {
		return false
	}
	u, err := user.Lookup(r.User)
	if err != nil {
		return false
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", r.PID)); err == nil {
		return strings.TrimSpace(string(b)) == u.Uid
	}
	info, err := os.Stat("/dev/" + r.Line)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && strconv.FormatUint(uint64(st.Uid), 10) == u.Uid
}

// Running reports whether there is a process of the record's number, as who(1)
// and users(1) ask of logins.
func Running(r Record) bool {
	return r.PID <= 0 || unix.Kill(int(r.PID), 0) != unix.ESRCH
}
