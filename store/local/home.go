package local

import (
	"path/filepath"

	"tandem"
)

// Home returns the folder that everything tandem keeps on a machine lies in: $TANDEM_HOME, else
// /var/lib/tandem for root (the unprivileged user that owns the server must reach it, and /root is
// closed to others), else $XDG_DATA_HOME/tandem, else ~/.local/share/tandem.
func Home(uid int, getenv func(string) string) (string, error) {
	const op = "local.Home"
	if home := getenv("TANDEM_HOME"); home != "" {
		absolute, err := filepath.Abs(home)
		if err != nil {
			return "", tandem.Errorf(tandem.Invalid, op, "TANDEM_HOME %s: %w", home, err)
		}
		return absolute, nil
	}
	if uid == 0 {
		return "/var/lib/tandem", nil
	}
	// The XDG specification has relative paths ignored.
	if data := getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "tandem"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "tandem"), nil
	}
	return "", tandem.Errorf(tandem.Invalid, op, "neither TANDEM_HOME, XDG_DATA_HOME nor HOME says where tandem may keep its data")
}
