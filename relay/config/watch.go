package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	defaultQuiet = 100 * time.Millisecond // enough for an editor's rename and write, or a deployment's symlink
	defaultPoll  = 2 * time.Second
)

// WatchOptions say when Watch looks at the files; zero values are the defaults.
type WatchOptions struct {
	Quiet time.Duration // how long nothing must happen after a change before the files are read; default 100ms
	Poll  time.Duration // how often they are read even without events, as on network and container file systems; default 2s

	Reload <-chan os.Signal // each signal counts as a change, at once; nil: none comes
}

// Watch calls changed whenever the bytes of a file no longer match its Sum, or Reload says so, until ctx ends; then it
// returns nil.
// changed returns the files to watch from then on: Config.Files of the new configuration, or Diagnostics.Files. It is
// called by one goroutine, and Watch does nothing else meanwhile.
//
// Directories are watched, not files: editors replace files, and mounted secrets are symlinks that change. Polling goes
// on beside the events; a change that it finds is looked at once more, because the file may be half written.
func Watch(ctx context.Context, files []File, o WatchOptions, changed func() []File) error {
	if o.Quiet <= 0 {
		o.Quiet = defaultQuiet
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	n := newNotifier()
	defer n.close()
	n.follow(files)
	return watch(ctx, files, o, n.events, func() []File {
		files := changed()
		n.follow(files)
		return files
	})
}

// watch is Watch, but for the source of events: each is a sign that a file may have changed.
func watch(ctx context.Context, files []File, o WatchOptions, events <-chan struct{}, changed func() []File) error {
	poll := time.NewTicker(o.Poll)
	defer poll.Stop()
	quiet := time.NewTimer(o.Quiet) // runs from the start, for changes since the files were read
	defer quiet.Stop()
	var seen []File // what the last poll found
	for {
		told := false
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			quiet.Reset(o.Quiet)
			continue
		case <-o.Reload:
			told = true
		case <-poll.C:
			if now := look(files); !slices.Equal(now, files) && !slices.Equal(now, seen) {
				seen = now
				quiet.Reset(o.Quiet)
				continue
			}
		case <-quiet.C:
		}
		if now := look(files); told || !slices.Equal(now, files) {
			files = settle(changed(), now)
		}
	}
}

// look is the files as they are now.
func look(files []File) []File {
	now := slices.Clone(files)
	for i := range now {
		now[i].Sum = sum(now[i].Path)
	}
	return now
}

// settle is next, but a file that is still as it was found counts as read then: one change is reported once.
func settle(next, found []File) []File {
	next = slices.Clone(next)
	for i, f := range next {
		at := slices.IndexFunc(found, func(g File) bool { return g.Path == f.Path })
		if at >= 0 && sum(f.Path) == found[at].Sum {
			next[i] = found[at]
		}
	}
	return next
}

// notifier turns the system's events into signs. Where the system has none, it gives none.
type notifier struct {
	watcher *fsnotify.Watcher        // nil: the system gives no events
	names   atomic.Pointer[[]string] // of the files that are followed
	events  chan struct{}            // holds one sign: more would say nothing new
	done    chan struct{}            // closed when the goroutine has ended
}

func newNotifier() *notifier {
	n := &notifier{events: make(chan struct{}, 1), done: make(chan struct{})}
	n.names.Store(new([]string))
	w, err := fsnotify.NewWatcher()
	if err != nil { // no more inotify instances, or none on this system
		close(n.done)
		return n
	}
	n.watcher = w
	go n.run()
	return n
}

// run passes signs on until the watcher is closed. An error is a sign too: events may have been lost.
func (n *notifier) run() {
	defer close(n.done)
	for {
		select {
		case e, ok := <-n.watcher.Events:
			if !ok {
				return
			}
			if !n.concerns(e) {
				continue
			}
		case _, ok := <-n.watcher.Errors:
			if !ok {
				return
			}
		}
		select {
		case n.events <- struct{}{}:
		default:
		}
	}
}

// concerns leaves out writes to other files: the tape is often beside the config, and is written to all the time.
// Anything created, moved or removed counts, as it may be a link that leads to a followed file.
func (n *notifier) concerns(e fsnotify.Event) bool {
	if e.Has(fsnotify.Create) || e.Has(fsnotify.Rename) || e.Has(fsnotify.Remove) {
		return true
	}
	return slices.Contains(*n.names.Load(), e.Name)
}

// follow watches the directories of the files, and of what they link to. A directory that can't be watched is polled.
func (n *notifier) follow(files []File) {
	if n.watcher == nil {
		return
	}
	var names, dirs []string
	for _, f := range files {
		names = append(names, f.Path)
		if real, err := filepath.EvalSymlinks(f.Path); err == nil && real != f.Path {
			names = append(names, real)
		}
	}
	for _, name := range names {
		dirs = append(dirs, filepath.Dir(name))
	}
	n.names.Store(&names)
	for _, dir := range n.watcher.WatchList() {
		if !slices.Contains(dirs, dir) {
			_ = n.watcher.Remove(dir)
		}
	}
	for _, dir := range dirs {
		_ = n.watcher.Add(dir)
	}
}

func (n *notifier) close() {
	if n.watcher != nil {
		n.watcher.Close()
	}
	<-n.done
}
