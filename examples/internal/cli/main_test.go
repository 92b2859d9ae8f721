package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/leak"
)

// The test binary is the tool under test when this variable names one.
const toolVariable = "NETSONDE_CLI_TEST_TOOL"

func TestMain(m *testing.M) {
	if name := os.Getenv(toolVariable); name != "" {
		if name == "brief" {
			Brief(name, tools[name])
		}
		Main(name, tools[name])
	}
	os.Exit(leak.Main(m))
}

var tools = map[string]Run{
	// snapshot prints one value, and fails as tools do.
	"snapshot": func(_ context.Context, _ []string, _ io.Reader, stdout, stderr io.Writer) int {
		t := New("snapshot", "", "", stdout, stderr)
		if err := PrintJSON(stdout, []int{1}); err != nil {
			return t.Fail(err)
		}
		return Yes
	},
	// code ends with the code that it is told.
	"code": func(_ context.Context, args []string, _ io.Reader, _, _ io.Writer) int {
		var code int
		fmt.Sscan(args[0], &code)
		return code
	},
	// wait says that it is ready, waits for the end of its context, and gives
	// its statistics.
	"wait": func(ctx context.Context, args []string, _ io.Reader, stdout, _ io.Writer) int {
		fmt.Fprintln(stdout, "ready")
		<-ctx.Done()
		fmt.Fprintln(stdout, "statistics:", context.Cause(ctx))
		if len(args) > 0 { // will not end by itself
			select {}
		}
		return Yes
	},
	// brief is "wait" for a tool that signals kill, unless it attends to them.
	"brief": func(ctx context.Context, args []string, _ io.Reader, stdout, _ io.Writer) int {
		if len(args) > 0 {
			var stop context.CancelFunc
			ctx, stop = Attend(ctx)
			defer stop()
		}
		fmt.Fprintln(stdout, "ready")
		<-ctx.Done()
		fmt.Fprintln(stdout, "statistics:", context.Cause(ctx))
		return Yes
	},
	// flood prints until its context ends.
	"flood": func(ctx context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
		for ctx.Err() == nil {
			fmt.Fprintln(stdout, "again")
		}
		return No
	},
}
