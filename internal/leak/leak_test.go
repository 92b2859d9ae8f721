package leak

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func leftBehind(before map[string]string, word string) bool {
	for _, l := range leftovers(before) {
		if strings.Contains(l, word) {
			return true
		}
	}
	return false
}

func TestFindsDescriptors(t *testing.T) {
	if len(descriptors()) == 0 {
		t.Skip("this system does not list descriptors in /proc/self/fd")
	}
	before := descriptors()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if !leftBehind(before, os.DevNull) {
		t.Error("an open file is not found")
	}
	f.Close()
	if leftBehind(before, os.DevNull) {
		t.Error("a closed file is found")
	}
}

func TestFindsGoroutines(t *testing.T) {
	started, stop, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go wait(started, stop, stopped)
	<-started
	if !leftBehind(descriptors(), "leak.wait") {
		t.Error("a goroutine that waits is not found")
	}
	close(stop)
	<-stopped
}

func wait(started chan<- struct{}, stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	close(started)
	<-stop
}
