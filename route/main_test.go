package route

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
