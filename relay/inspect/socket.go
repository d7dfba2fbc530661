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
)

// longestSocketPath is what every system takes in a sockaddr_un: macOS has 104
// bytes with the final NUL, Linux and Windows 108.
const longestSocketPath = 103

// socketPath is where the agent of a database listens: beside the database, or
// where that path is too long for a socket, in a private folder of the runtime
// directory under a name made of the path's hash. One database has one socket,
// by whatever path it is named.
func socketPath(database string) (string, error) {
	paths, err := socketPaths(database, runtimeDirs())
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// socketPaths are the places to look for the agent, the one to listen on
// first. A service manager may have started the agent with another runtime
// directory than the user's shell has.
func socketPaths(database string, runtimeDirs []string) ([]string, error) {
	whole, err := realPath(database)
	if err != nil {
		return nil, fmt.Errorf("find the socket of %s: %w", database, err)
	}
	if beside := whole + ".sock"; len(beside) <= longestSocketPath {
		return []string{beside}, nil
	}
	sum := sha256.Sum256([]byte(whole))
	name := hex.EncodeToString(sum[:8]) + ".sock"
	var paths []string
	for _, dir := range runtimeDirs {
		if path := filepath.Join(dir, ownFolder(), name); len(path) <= longestSocketPath {
			paths = append(paths, path)
		}
	}
	if paths == nil {
		return nil, fmt.Errorf("no path for the socket of %s is short enough: set XDG_RUNTIME_DIR", database)
	}
	return paths, nil
}

// realPath is an absolute path without symbolic links. The file itself need
// not be there yet.
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
	return append(dirs, os.TempDir(), "/tmp")
}

// ownFolder is the name of this user's folder in a runtime directory.
func ownFolder() string { return fmt.Sprintf("hooktape-%d", os.Getuid()) }

// ErrNoAgent says that nobody listens on a database's socket.
var ErrNoAgent = errors.New("no agent is running")

// Listen opens the socket of a database, for its owner alone. The caller holds
// the database's lock, so a socket file that is there already and that nobody
// answers on is left over from an agent that was killed, and is replaced.
// Close the listener before the database: after that another agent may have
// put its own socket there, and closing removes the file.
func Listen(database string) (net.Listener, error) {
	path, err := socketPath(database)
	if err != nil {
		return nil, err
	}
	if filepath.Base(filepath.Dir(path)) == ownFolder() {
		if err := privateFolder(filepath.Dir(path)); err != nil {
			return nil, err
		}
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

// privateFolder makes a folder that nobody else can look into, or makes sure
// that the one which is there is ours and private: in a shared temporary
// directory anybody may have made it.
func privateFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !owned(info) {
		return fmt.Errorf("%s is not a folder of yours with mode 0700: remove it, or set XDG_RUNTIME_DIR", dir)
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
		return fmt.Errorf("%s is in the way of the control socket and is no socket: move it away", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("another process answers on the control socket %s", path)
	}
	return os.Remove(path)
}
