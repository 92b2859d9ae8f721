//go:build !linux

package trace

import (
	"errors"
	"fmt"
	"runtime"
)

func openRaw(EngineOptions) (rawNet, error) {
	return nil, fmt.Errorf("needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
