package resolve

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Child("go-resolver", goResolver)
	os.Exit(lab.Main(m))
}

// goResolver prints what package net finds, as the witness for PolicyGo. It
// runs in a process of its own: net starts goroutines, which leave a namespace.
func goResolver(args []string) int {
	r := net.Resolver{PreferGo: true}
	addrs, err := r.LookupNetIP(context.Background(), "ip", args[0])
	for _, a := range addrs {
		fmt.Println(a.Unmap())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
