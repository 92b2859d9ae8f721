package utmp

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
