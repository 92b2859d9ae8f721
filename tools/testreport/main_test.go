package main

import (
	"strings"
	"testing"
)

const passing = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`

func skipped(reason string) string {
	return `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: ` + reason + `\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
`
}

func TestReport(t *testing.T) {
	tests := []struct {
		name, in string
		tools    bool
		ok       bool
		want     []string // each is in the output
		again    string
	}{
		{"pass", passing, true, true, []string{"ok    p  1.5s\n", "\n1 passed, 0 failed, 0 skipped\n"}, ""},
		{"nothing ran", "", true, false, []string{"0 passed, 0 failed, 0 skipped\n"}, ""},
		{"fail", passing + `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: broken\n"}
{"Action":"fail","Package":"p","Test":"TestC/sub"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p","Test":"TestD"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":2}
`, false, false, []string{"broken\n", "FAIL  p  2.0s\n", "1 passed, 3 failed, 0 skipped\n"}, "p ^(TestC|TestD)$\n"},
		{"a panic", passing + `{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t2.0s\n"}
{"Action":"fail","Package":"p","Elapsed":2}
`, false, false, []string{"FAIL  p  2.0s\n"}, "p .\n"},
		{"a package that fails outside its tests", passing + `{"Action":"output","Package":"q","Output":"left behind: goroutine\n"}
{"Action":"fail","Package":"q","Elapsed":2}
`, false, false, []string{"left behind: goroutine\n", "FAIL  q"}, "q .\n"},
		{"a build that fails", passing + `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: syntax error\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"fail","Package":"q","Elapsed":0}
`, false, false, []string{"syntax error\n"}, "q .\n"},
		{"a missing program", passing + skipped("needs traceroute"), true, false, []string{"SKIPPED FOR A PROGRAM: needs traceroute: p TestB\n"}, ""},
		{"a missing program with its package", passing + skipped("needs  ip (iproute2)"), true, false, []string{"SKIPPED FOR A PROGRAM: needs  ip (iproute2): p TestB\n"}, ""},
		{"a missing program where none is installed", passing + skipped("needs traceroute"), false, true, []string{"skipped: needs traceroute: p TestB\n"}, ""},
		{"another reason", passing + skipped("needs user namespaces") + skipped("needs user namespaces"), true, true,
			[]string{"skipped: needs user namespaces: p TestB and 1 more\n", "1 passed, 0 failed, 2 skipped\n"}, ""},
		{"needs root", passing + skipped("needs root"), true, true, []string{"skipped: needs root: p TestB\n"}, ""},
		{"words of the go command", "go: no such package\n" + passing, true, true, []string{"go: no such package\n"}, ""},
	}
	for _, tt := range tests {
		var out strings.Builder
		s := newSummary()
		if ok := s.report(strings.NewReader(tt.in), &out, tt.tools); ok != tt.ok {
			t.Errorf("%s: ok %v, want %v", tt.name, ok, tt.ok)
		}
		if got := strings.Join(s.again, ""); got != tt.again {
			t.Errorf("%s: once more %q, want %q", tt.name, got, tt.again)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in:\n%s", tt.name, want, out.String())
			}
		}
	}
}
