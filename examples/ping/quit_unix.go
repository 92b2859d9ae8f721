//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onQuit calls show for every SIGQUIT until the function that it returns is
// called.
func onQuit(show func()) (stop func()) {
	c, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(c, syscall.SIGQUIT)
	go func() {
		defer close(done)
		for range c {
			show()
		}
	}()
	return func() {
		signal.Stop(c)
		close(c)
		<-done
	}
}
