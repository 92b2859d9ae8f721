//go:build !linux

package link

import (
	"context"
	"errors"
	"runtime"
)

func openDevice(context.Context, string, *Options) (*Device, error) {
	return nil, errors.Join(errors.New("needs Linux, this is "+runtime.GOOS), errors.ErrUnsupported)
}
