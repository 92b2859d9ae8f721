package diagnose_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// A process of its own inside a host of the lab, with or without
	// capabilities: the tool as a user has it.
	lab.Child("diagnose", func(args []string) int {
		target, err := diagnose.ParseTarget(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		budget, _ := time.ParseDuration(args[1])
		report, err := diagnose.Run(context.Background(), target, &diagnose.Options{Budget: budget})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return 2
		}
		return 0
	})
	// Most of the time is waiting for routers that look for hosts, so many
	// networks can be broken at once.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set("test.parallel", "32")
	}
	os.Exit(lab.Main(m))
}
