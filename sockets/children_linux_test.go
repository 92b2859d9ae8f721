package sockets

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/netsonde/netsonde/internal/lab"
)

// registerChildren makes a child that prints a whole Table as JSON.
func registerChildren() {
	lab.Child("read", func([]string) int {
		t, err := Read(context.Background(), &Options{Processes: true, Protocols: []Protocol{TCP, UDP, Raw, Unix}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
			return 1
		}
		return 0
	})
}
