//go:build !linux

package resolve

import "context"

func drive(ctx context.Context, xs []*exchange, p place) error { return drivePortable(ctx, xs, p) }
