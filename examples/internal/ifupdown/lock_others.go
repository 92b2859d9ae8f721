//go:build !linux

package ifupdown

import (
	"os"

	"github.com/netsonde/netsonde/internal/operr"
)

func lock(*os.File) (owner int, err error) { return 0, operr.Unsupported("ifup: lock") }
