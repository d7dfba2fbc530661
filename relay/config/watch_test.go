package config

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// patient is how long a test waits for what must come.
const patient = 30 * time.Second

// quick is for tests on the real clock.
var quick = WatchOptions{Quiet: time.Millisecond, Poll: time.Hour}

// stamped is a file as Load saw it.
func stamped(path string) File { return File{Path: path, Sum: sum(path)} }

// started runs Watch until the test ends; each change is sent.
func started(t *testing.T, o WatchOptions, files ...File) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Watch(ctx, files, o, func() []File {
			again := make([]File, len(files)) // before the test goes on, and changes them again
			for i, f := range files {
				again[i] = stamped(f.Path)
			}
			select {
			case changes <- struct{}{}:
			case <-ctx.Done():
			}
			return again
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return changes
}

func awaitChange(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(patient):
		t.Fatal("the change was not seen")
	}
}

func TestAWriteIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	changes := started(t, quick, stamped(path))
	write(t, path, "b")
	awaitChange(t, changes)
	write(t, path, "c")
	awaitChange(t, changes)
}

func TestAnEditorsRenameIsSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.hcl")
	write(t, path, "a")
	changes := started(t, quick, stamped(path))
	for _, text := range []string{"b", "c"} {
		write(t, filepath.Join(dir, "new"), text)
		if err := os.Rename(filepath.Join(dir, "new"), path); err != nil {
			t.Fatal(err)
		}
		awaitChange(t, changes)
	}
}

// A mounted secret is a link to a link to a directory, and the middle one is what changes.
func TestAMountedSecretThatRotatesIsSeen(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "token"), version)
	}
	link(t, "v1", filepath.Join(dir, "..data"))
	link(t, filepath.Join("..data", "token"), filepath.Join(dir, "token"))
	changes := started(t, quick, stamped(filepath.Join(dir, "token")))
	link(t, "v2", filepath.Join(dir, "..new"))
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	awaitChange(t, changes)
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		notOnUnix(t, err)
	}
}

func TestAFileThatAppearsIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	changes := started(t, quick, File{Path: path})
	write(t, path, "a")
	awaitChange(t, changes)
}

func TestWithoutEventsPollingSeesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	file := stamped(path)
	write(t, path, "b")
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	var calls atomic.Int32
	err := watch(ctx, []File{file}, WatchOptions{Quiet: time.Hour, Poll: time.Millisecond}, nil, func() []File {
		calls.Add(1)
		cancel()
		return nil
	})
	if err != nil || calls.Load() != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// inBubble runs watch with events and time in the test's hands.
func inBubble(t *testing.T, changed func() []File, files []File, body func(event func())) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = watch(ctx, files, WatchOptions{Quiet: defaultQuiet, Poll: defaultPoll}, events, changed)
		}()
		synctest.Wait()
		body(func() { events <- struct{}{}; synctest.Wait() })
		cancel()
		<-done
	})
}

func TestManyEventsAreOneChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	var calls atomic.Int32
	changed := func() []File { calls.Add(1); return []File{stamped(path)} }
	inBubble(t, changed, []File{stamped(path)}, func(event func()) {
		write(t, path, "b")
		for range 10 {
			event()
			time.Sleep(defaultQuiet - time.Millisecond) // of the bubble: no real time passes
		}
		if calls.Load() != 0 {
			t.Errorf("%d changes while files were still written", calls.Load())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d changes", calls.Load())
		}
	})
}

func TestAnEventWithoutAChangeIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	inBubble(t, func() []File { t.Error("called"); return nil }, []File{stamped(path)}, func(event func()) {
		write(t, path, "a") // touched
		event()
		time.Sleep(5 * defaultPoll)
		synctest.Wait()
	})
}

func TestWhatChangedBeforeWatchingIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	loaded := stamped(path)
	write(t, path, "b")
	var calls atomic.Int32
	inBubble(t, func() []File { calls.Add(1); return []File{stamped(path)} }, []File{loaded}, func(func()) {
		time.Sleep(defaultQuiet)
		synctest.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d changes", calls.Load())
		}
	})
}

// Cut off between two blocks, a config is valid but lacks sources: polling must not take it up.
func TestWhatIsHalfWrittenWhenPolledIsReadWhenItIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	var found [][32]byte
	changed := func() []File {
		found = append(found, sum(path))
		return []File{stamped(path)}
	}
	inBubble(t, changed, []File{stamped(path)}, func(event func()) {
		time.Sleep(defaultPoll - defaultQuiet/2)
		write(t, path, "half")
		event()
		time.Sleep(defaultQuiet - time.Millisecond) // the poll was in between
		write(t, path, "half and half")
		event()
		time.Sleep(2 * defaultPoll)
		synctest.Wait()
		if whole := sum(path); len(found) != 1 || found[0] != whole {
			t.Errorf("read %d times, the first time when it was %x, and it is %x", len(found), found, whole)
		}
	})
}

// Even when events never cease, polling sees what has changed.
func TestEventsWithoutEndHoldUpNoChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	var calls atomic.Int32
	changed := func() []File { calls.Add(1); return []File{stamped(path)} }
	inBubble(t, changed, []File{stamped(path)}, func(event func()) {
		write(t, path, "b")
		for range 3 * defaultPoll / (defaultQuiet / 2) {
			event()
			time.Sleep(defaultQuiet / 2)
		}
		if calls.Load() != 1 {
			t.Errorf("%d changes", calls.Load())
		}
	})
}

// A reload that fails may give back the files of the configuration that is still in force.
func TestOneChangeIsReportedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	loaded := stamped(path)
	var calls atomic.Int32
	inBubble(t, func() []File { calls.Add(1); return []File{loaded} }, []File{loaded}, func(event func()) {
		write(t, path, "b")
		time.Sleep(10 * defaultPoll)
		synctest.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d changes", calls.Load())
		}
		write(t, path, "c")
		time.Sleep(10 * defaultPoll)
		synctest.Wait()
		if calls.Load() != 2 {
			t.Errorf("%d changes", calls.Load())
		}
	})
}

func TestAReloadThatIsToldNeedsNoChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, "a")
	file := stamped(path)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		signals, called := make(chan os.Signal), make(chan struct{})
		go func() {
			defer close(called)
			_ = watch(ctx, []File{file}, WatchOptions{Quiet: time.Hour, Poll: time.Hour, Reload: signals}, nil, func() []File {
				called <- struct{}{}
				return []File{file}
			})
		}()
		for range 2 {
			signals <- os.Interrupt
			<-called
		}
		cancel()
		<-called
	})
}

// notOnUnix skips a test loudly where the system lacks what it needs, and fails it where none does.
func notOnUnix(t *testing.T, err error) {
	t.Helper()
	if runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	t.Skip("NOT TESTED HERE:", err)
}
