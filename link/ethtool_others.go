//go:build !linux

package link

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func openDevice(context.Context, string, *Options) (*Device, error) {
	return nil, fmt.Errorf("needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
