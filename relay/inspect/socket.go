package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// longestSocketPath is what every system takes in a sockaddr_un: macOS has 104
// bytes with the final NUL, Linux and Windows 108.
const longestSocketPath = 103

// place is where an agent may listen.
type place struct {
	socket string // path
	folder string // to be made for this user alone, in a directory that may be shared; "": it is beside the database
}

// ErrNoPlace says that a database's path is too long for a socket beside it,
// and that no runtime directory has room for one.
var ErrNoPlace = errors.New("no place for the control socket")

// places are where the agent of a database may listen: beside the database, or if
// that path is too long for a socket, in a private folder of a runtime directory,
// under a name made of the path's hash. The agent listens in the first one that can
// be used; a client tries all, since a service manager may have started the agent
// with another runtime directory than the user's shell has. A database has the
// same places by whatever path it is named.
func places(database string, runtimeDirs []string) ([]place, error) {
	whole, err := realPath(database)
	if err != nil {
		return nil, fmt.Errorf("find the socket of %s: %w", database, err)
	}
	if beside := whole + ".sock"; len(beside) <= longestSocketPath {
		return []place{{socket: beside}}, nil
	}
	sum := sha256.Sum256([]byte(whole))
	name := hex.EncodeToString(sum[:8]) + ".sock"
	var all []place
	for _, dir := range runtimeDirs {
		folder := filepath.Join(dir, ownFolder())
		if p := (place{filepath.Join(folder, name), folder}); len(p.socket) <= longestSocketPath {
			all = append(all, p)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("%w: each path for that of %s is too long", ErrNoPlace, database)
	}
	return all, nil
}

// trusted says whether nobody else can have put a socket there.
func (p place) trusted() bool {
	if p.folder == "" {
		return true
	}
	info, err := os.Lstat(p.folder)
	return err == nil && info.IsDir() && owned(info)
}

// realPath is an absolute path without symbolic links. The file itself need not
// exist yet.
func realPath(path string) (string, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(whole); err == nil {
		return real, nil
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(whole)); err == nil {
		return filepath.Join(dir, filepath.Base(whole)), nil
	}
	return whole, nil
}

func runtimeDirs() []string {
	var dirs []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, dir)
	}
	return slices.Compact(append(dirs, os.TempDir(), "/tmp"))
}

// ownFolder is the name of this user's folder in a runtime directory.
func ownFolder() string { return fmt.Sprintf("hooktape-%d", os.Getuid()) }

// ErrNoAgent says that nobody listens on a database's socket.
var ErrNoAgent = errors.New("no agent is running")

// Listen opens the socket of a database, for its owner alone. The caller holds the
// database's lock, so a socket file that exists but that nobody answers on was left
// by an agent that was killed, and is replaced. Close the listener before the
// database: afterwards another agent may have put its own socket there, and closing
// would remove that.
func Listen(database string) (net.Listener, error) {
	all, err := places(database, runtimeDirs())
	if err != nil {
		return nil, err
	}
	path, err := usable(all)
	if err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	return l, nil
}

// usable is the socket of the first place whose folder exists or can be made. A
// missing runtime directory is skipped: making it is up to the system.
func usable(all []place) (string, error) {
	var why []string
	for _, p := range all {
		if p.folder == "" {
			return p.socket, nil
		}
		err := privateFolder(p.folder)
		if err == nil {
			return p.socket, nil
		}
		why = append(why, err.Error())
	}
	return "", fmt.Errorf("%w: %s", ErrNoPlace, strings.Join(why, "; "))
}

// privateFolder makes a folder that nobody else can look into. If there is one, it
// makes sure that it is ours and private: in a shared temporary directory anybody
// may have made it.
func privateFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !(place{folder: dir}).trusted() {
		return fmt.Errorf("%s is not a folder of yours with mode 0700", dir)
	}
	return nil
}

// removeStale removes a socket that nobody answers on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !socketFile(info) {
		return fmt.Errorf("%s is where the control socket must be and is not a socket: move it away", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("another process answers on the control socket %s", path)
	}
	return os.Remove(path)
}
