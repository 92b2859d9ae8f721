// Testreport reads the output of go test -json, prints one line a package, the
// output of what failed, the reasons of what was skipped, and a last line with
// the counts. It fails when a test failed, when none ran, and, with -tools,
// when one was skipped because a program was not installed: the gate installs
// them all. Such a test says "needs" and the program's name, and may add its
// package in parentheses. With -again it writes what to run once more into a
// file: lines of a package and a pattern for -run.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	tools := flag.Bool("tools", false, "fail when a test was skipped for a program that is not installed")
	again := flag.String("again", "", "the `file` that gets the packages that failed, each with the pattern of its tests that did")
	flag.Parse()
	s := newSummary()
	ok := s.report(os.Stdin, os.Stdout, *tools)
	if *again != "" {
		if err := os.WriteFile(*again, []byte(strings.Join(s.again, "")), 0o666); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if !ok {
		os.Exit(1)
	}
}

// event is one line of test2json, as far as it matters here.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64
	Output     string
}

// summary is what has been read.
type summary struct {
	passed, failed, skipped int
	brokenPackages          int
	output                  map[string]string   // by package and test, until it is known how that ended
	reasons                 map[string][]string // of skipped tests, to the tests
	order                   []string            // the reasons as they came
	failures                map[string][]string // by package, its tests that failed, without subtests
	again                   []string            // a line for each package that failed
}

func newSummary() *summary {
	return &summary{output: map[string]string{}, reasons: map[string][]string{}, failures: map[string][]string{}}
}

func (s *summary) report(in io.Reader, out io.Writer, tools bool) (ok bool) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // of the go command itself
			continue
		}
		s.add(e, out)
	}
	missing := 0
	for _, reason := range s.order {
		mark := "skipped"
		if m := missingTool.FindStringSubmatch(reason); m != nil && m[1] != "root" && tools {
			mark = "SKIPPED FOR A PROGRAM"
			missing++
		}
		tests := s.reasons[reason]
		fmt.Fprintf(out, "%s: %s: %s", mark, reason, tests[0])
		if n := len(tests) - 1; n > 0 {
			fmt.Fprintf(out, " and %d more", n)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return lines.Err() == nil && s.failed == 0 && s.brokenPackages == 0 && s.passed > 0 && missing == 0
}

var missingTool = regexp.MustCompile(`^needs +([a-z][a-z0-9_.+-]*)( \([a-z0-9-]+\))?$`)

func (s *summary) add(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		s.output[key] += e.Output
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, s.output[key], out)
		} else {
			s.endTest(e, s.output[key], out)
		}
		delete(s.output, key)
	}
}

func (s *summary) endPackage(e event, output string, out io.Writer) {
	switch {
	case e.Action == "fail":
		s.brokenPackages++
		s.again = append(s.again, e.Package+" "+s.pattern(e.Package, output)+"\n")
		fmt.Fprintf(out, "%sFAIL  %s  %.1fs\n", output, e.Package, e.Elapsed)
	case e.Action == "pass":
		fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	}
}

// pattern matches the tests to run once more: those that failed, or all where the
// package did not come to its end or failed in another way.
func (s *summary) pattern(pkg, output string) string {
	ended := strings.HasPrefix(output, "FAIL\n") || strings.Contains(output, "\nFAIL\n")
	if tests := s.failures[pkg]; ended && len(tests) > 0 {
		return "^(" + strings.Join(tests, "|") + ")$"
	}
	return "."
}

func (s *summary) endTest(e event, output string, out io.Writer) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		if !strings.Contains(e.Test, "/") {
			s.failures[e.Package] = append(s.failures[e.Package], e.Test)
		}
		fmt.Fprintf(out, "%s", output)
	case "skip":
		s.skipped++
		reason := reasonOf(output)
		if s.reasons[reason] == nil {
			s.order = append(s.order, reason)
		}
		s.reasons[reason] = append(s.reasons[reason], e.Package+" "+e.Test)
	}
}

var position = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reasonOf returns the last thing that a skipped test said, without its place.
func reasonOf(output string) string {
	reason := "no reason given"
	for line := range strings.Lines(output) {
		if position.MatchString(line) {
			reason = strings.TrimSpace(position.ReplaceAllString(line, ""))
		}
	}
	return reason
}
