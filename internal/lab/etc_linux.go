package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// etcFiles are what a host has of its own below /etc. nsswitch.conf is among
// them so that getent asks the lab's files and name servers, and not a service
// of the machine over a Unix socket, which no network namespace stops.
var etcFiles = []struct{ name, text string }{
	{"resolv.conf", ""},
	{"hosts", "127.0.0.1 localhost\n::1 localhost\n"},
	{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
}

// makeEtc writes a host's files to dir.
func makeEtc(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, f := range etcFiles {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mountEtc puts the files of dir over those of /etc, and a /sys that shows this
// network namespace over /sys, in the calling thread's mount namespace.
func mountEtc(dir string) error {
	shadowed := false
	for _, f := range etcFiles {
		target, err := filepath.EvalSymlinks(filepath.Join("/etc", f.name))
		if err != nil && !shadowed {
			// Absent, or a link to nowhere: nothing to mount over.
			if err := shadowEtc(dir); err != nil {
				return fmt.Errorf("replace /etc: %w", err)
			}
			shadowed = true
		}
		if shadowed {
			continue
		}
		if err := unix.Mount(filepath.Join(dir, f.name), target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over %s: %w", target, err)
		}
	}
	// Some containers forbid a new sysfs; then /sys shows another namespace, as
	// it does for any process that changes its own.
	unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	return nil
}

// shadowEtc mounts over /etc a directory with this host's files and, for all
// the rest, links into the real one.
func shadowEtc(dir string) error {
	real, shadow := filepath.Join(dir, "real"), filepath.Join(dir, "etc")
	// The links must lead somewhere for unprivileged processes too, and
	// temporary directories are private.
	for d, i := dir, 0; i < 3; i++ {
		os.Chmod(d, 0o755)
		d = filepath.Dir(d)
	}
	for _, d := range []string{real, shadow} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("/etc", real, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	entries, err := os.ReadDir("/etc")
	if err != nil {
		return err
	}
	for _, f := range etcFiles {
		if err := os.Link(filepath.Join(dir, f.name), filepath.Join(shadow, f.name)); err != nil {
			return err
		}
	}
	for _, e := range entries {
		link := filepath.Join(shadow, e.Name())
		if _, err := os.Lstat(link); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join(real, e.Name()), link); err != nil {
			return err
		}
	}
	return unix.Mount(shadow, "/etc", "", unix.MS_BIND, "")
}
