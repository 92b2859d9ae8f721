package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// classic is the program that first had the name, as Debian calls it beside
// the script that came after it.
const classic = "tcptraceroute.mt"

// The same command line gives the same text on both outputs and the same exit
// code, but for the source port where each probe of ours has its own.
func TestAgainstTcptraceroute(t *testing.T) {
	if _, err := exec.LookPath(classic); err != nil {
		t.Skip("needs " + classic + ", of Debian's tcptraceroute")
	}
	client := path(t)
	var all sync.WaitGroup
	for _, line := range []string{
		"-n 10.3.0.5 8080", "-n 10.3.0.5", "-n 10.3.0.5 https", "-N web1 81", "-n -q 1 -f 2 10.3.0.5", "-n -m 1 10.3.0.5",
		"-n -p 5050 10.3.0.5 8080", "-n -q 1 -p 5051 10.3.0.5", "-n -F 10.3.0.5", "-n -S -t 16 10.3.0.5", "-n -s 10.1.0.2 -i eth0 10.3.0.5",
		"-n --no-dnat 10.3.0.5", "-n --no-dnat-strict 10.3.0.5", "-n -q 2 -m 3 -w 1 10.3.0.6", "-n -m 4 10.3.0.7", "-n 10.1.0.1",
	} {
		all.Go(func() {
			d := ""
			for range 3 { // it is impatient, and a busy machine is slow
				if d = against(client, strings.Fields(line)); d == "" {
					return
				}
			}
			t.Errorf("%s (-classic +ours)\n%s", line, d)
		})
	}
	all.Wait()
}

var sourcePort = regexp.MustCompile(`(, address [0-9.]+), port \d+`)

// against returns how the two differ.
func against(client *lab.Host, args []string) string {
	var stdout, stderr bytes.Buffer
	cmd := client.Command(classic, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Run()); ok {
		code = exit.ExitCode()
	}
	out, said, ours, err := client.RunChild("tcptraceroute", false, args...)
	mask := func(stdout, stderr string, code int) string {
		if !strings.Contains(strings.Join(args, " "), "-p") {
			stderr = sourcePort.ReplaceAllString(stderr, "$1")
		}
		return fmt.Sprintln(times.ReplaceAllString(stdout, "T"), stderr, code)
	}
	return cmp.Diff(mask(stdout.String(), stderr.String(), code), mask(string(out), string(said), ours)) + errorText(err)
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
