package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// serveOn serves h on the socket of a database until the test ends.
func serveOn(t testing.TB, database string, h http.Handler) {
	t.Helper()
	l, err := Listen(database)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// socketPath is the path that an agent takes where nothing stands in the way.
func socketPath(database string) (string, error) {
	all, err := places(database, runtimeDirs())
	if err != nil {
		return "", err
	}
	return all[0].socket, nil
}

// shortDir makes a folder with a short path for a variable of the environment, and sets it.
func shortDir(t *testing.T, variable string) string {
	t.Helper()
	t.TempDir() // before TMPDIR is another one
	dir, err := os.MkdirTemp("/tmp", "ht")
	if err != nil {
		notOnUnix(t, err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv(variable, dir)
	return dir
}

// testClient is a client whose server answers every question the same.
type testClient struct{ *Client }

func (c testClient) lines(t testing.TB) iter.Seq2[Source, error] {
	return lines[Source](func() (*http.Response, error) { return c.get(t.Context(), "/v1/sources", nil) })
}

// bothClients reach h in the same process and over a socket.
func bothClients(t testing.TB, h http.Handler) map[string]testClient {
	t.Helper()
	database := filepath.Join(t.TempDir(), "tape.db")
	path, err := socketPath(database)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, database, h)
	overSocket := newClient(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}})
	t.Cleanup(overSocket.Close)
	return map[string]testClient{"in process": {newClient(inProcess{h})}, "over a socket": {overSocket}}
}

func TestTheSocketIsReachedByEveryNameOfTheDatabase(t *testing.T) {
	dir := t.TempDir()
	database := filepath.Join(dir, "tape.db")
	if err := os.WriteFile(database, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(database, link); err != nil {
		notOnUnix(t, err)
	}
	t.Chdir(dir)
	want, err := socketPath(database)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, "tape.db", "./link.db"} {
		if got, err := socketPath(name); err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", name, got, want, err)
		}
	}
}

func TestAPathTooLongForASocketGetsAShortOne(t *testing.T) {
	database := filepath.Join(t.TempDir(), strings.Repeat("long", 40), "tape.db")
	all, err := places(database, []string{"/run/user/1", "/tmp", "/" + strings.Repeat("x", 100)})
	if err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	for _, p := range all {
		if len(p.socket) > longestSocketPath || filepath.Dir(p.socket) != p.folder || filepath.Base(p.folder) != ownFolder() {
			t.Errorf("%+v", p)
		}
	}
	other, err := places(database+"2", []string{"/run/user/1"})
	if err != nil || other[0] == all[0] {
		t.Errorf("two databases share %+v (%v)", all[0], err)
	}
	if _, err := places(database, nil); !errors.Is(err, ErrNoPlace) {
		t.Errorf("no runtime directory is short enough: %v", err)
	}
}

// serveAtLongPath serves a database beside which a socket has no room, and connects to it.
func serveAtLongPath(t *testing.T) *Client {
	t.Helper()
	folder := filepath.Join(t.TempDir(), strings.Repeat("l", 120))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(folder, "tape.db")
	serveOn(t, database, (&Server{Version: "9"}).Handler())
	client, err := Dial(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestALongDatabasePathWorksEndToEnd(t *testing.T) {
	shortDir(t, "XDG_RUNTIME_DIR")
	client := serveAtLongPath(t)
	if status, err := client.Status(t.Context()); err != nil || status.Version != "9" {
		t.Errorf("%+v %v", status, err)
	}
}

func TestARuntimeDirectoryThatIsMissingIsPassedOver(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED HERE: windows has no /tmp")
	}
	shortDir(t, "TMPDIR")
	t.Setenv("XDG_RUNTIME_DIR", "/run/no-such-user")
	serveAtLongPath(t)
	if _, err := os.Stat("/run/no-such-user"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it made a runtime directory, which is the system's to make")
	}
}

func TestASocketInAFolderOfOthersIsNotAsked(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED HERE: windows has no modes")
	}
	runtimeDir := shortDir(t, "XDG_RUNTIME_DIR")
	database := filepath.Join(t.TempDir(), strings.Repeat("l", 120), "tape.db")
	serveOn(t, database, (&Server{Version: "9"}).Handler())
	if err := os.Chmod(filepath.Join(runtimeDir, ownFolder()), 0o755); err != nil {
		t.Fatal(err)
	}
	if client, err := Dial(t.Context(), database); !errors.Is(err, ErrNoAgent) {
		client.Close()
		t.Errorf("anybody could have put this socket there, and it was asked: %v", err)
	}
}

func TestAForeignFolderIsNotTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hooktape")
	if err := privateFolder(dir); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(dir); err != nil {
		t.Errorf("our own folder is refused: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(dir); err == nil {
		t.Error("a folder that all can write to is taken")
	}
	link := dir + "2"
	if err := errors.Join(os.Chmod(dir, 0o700), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(link); err == nil {
		t.Error("a symbolic link is taken")
	}
}

func TestTheSocketIsForItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED HERE: windows has no modes")
	}
	database := filepath.Join(t.TempDir(), "tape.db")
	serveOn(t, database, http.NotFoundHandler())
	path, err := socketPath(database)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestALeftoverSocketIsReplacedAndALivingOneIsNot(t *testing.T) {
	database := filepath.Join(t.TempDir(), "tape.db")
	if _, err := Dial(t.Context(), database); !errors.Is(err, ErrNoAgent) {
		t.Errorf("nothing there: %v", err)
	}
	killed, err := Listen(database)
	if err != nil {
		t.Fatal(err)
	}
	killed.(*net.UnixListener).SetUnlinkOnClose(false) // as when the process is killed
	killed.Close()
	if _, err := Dial(t.Context(), database); !errors.Is(err, ErrNoAgent) {
		t.Errorf("a leftover: %v", err)
	}
	serveOn(t, database, http.NotFoundHandler())
	if l, err := Listen(database); err == nil {
		l.Close()
		t.Error("a socket somebody answers on was replaced")
	}
}

func TestAFileInTheWayOfTheSocketIsLeftAlone(t *testing.T) {
	database := filepath.Join(t.TempDir(), "tape.db")
	path, err := socketPath(database)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(database); err == nil {
		l.Close()
		t.Error("listens in the place of a file")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file is gone: %q %v", text, err)
	}
}

func TestClosingRemovesTheSocket(t *testing.T) {
	database := filepath.Join(t.TempDir(), "tape.db")
	l, err := Listen(database)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	path, _ := socketPath(database)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(fmt.Sprint("still there: ", err))
	}
}

// notOnUnix skips a test loudly where the system lacks what it needs, and fails it where none does.
func notOnUnix(t *testing.T, err error) {
	t.Helper()
	if runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	t.Skip("NOT TESTED HERE:", err)
}
