package main

import (
	"io/fs"
	"syscall"
	"time"
)

// accessed is when a file was last read; zero: not known.
func accessed(info fs.FileInfo) time.Time {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	return time.Unix(st.Atim.Unix())
}
