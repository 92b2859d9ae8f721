package nl

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Child("enter", enter)
	os.Exit(lab.Main(m))
}
