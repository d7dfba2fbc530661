package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hooktape/hooktape/replay"
)

// stepSummary is the environment variable in which GitHub names the file of a step's summary.
const stepSummary = "GITHUB_STEP_SUMMARY"

// reportFiles are the files that tell of a replay, in CI above all. They are begun before anything else, so that they tell
// of what kept it from being sent, too.
type reportFiles struct {
	env      *env
	began    time.Time
	junit    *junitFile       // nil: none is wanted
	markdown *replay.Markdown // nil: none is wanted
	ended    bool
}

// newReportFiles begins the files that are wanted. junit is the name of that report; "": none.
func newReportFiles(e *env, junit string) (*reportFiles, error) {
	f := &reportFiles{env: e, began: e.now()}
	if junit != "" {
		var err error
		if f.junit, err = newJUnitFile(junit, f.began); err != nil {
			return nil, err
		}
	}
	if path, _ := e.lookup(stepSummary); path != "" {
		f.markdown = replay.NewMarkdown("hooktape replay")
	}
	return f, nil
}

// add adds a send.
func (f *reportFiles) add(c *replay.Case) error {
	if f.markdown != nil {
		f.markdown.Add(c)
	}
	if f.junit != nil {
		if err := f.junit.Add(c); err != nil {
			return cannot("", "write %s: %w", f.junit.name, err)
		}
	}
	return nil
}

// end writes the files to their ends. brokenOff is why not all was sent; "": all was.
func (f *reportFiles) end(s *replay.Summary, took time.Duration, brokenOff string) error {
	f.ended = true
	var failed error
	if f.junit != nil {
		if err := f.junit.close(f.env.now(), brokenOff); err != nil {
			failed = cannot("", "write %s: %w", f.junit.name, err)
		}
	}
	if f.markdown != nil {
		path, _ := f.env.lookup(stepSummary)
		if err := appendTo(path, func(to *os.File) error { return f.markdown.WriteTo(to, s, took, brokenOff) }); err != nil {
			failed = errors.Join(failed, cannot("", "write the step summary: %w", err))
		}
	}
	return failed
}

// unsent has the files tell why nothing was sent, where the replay ended with err before it came so far.
func (f *reportFiles) unsent(err error) error {
	if f.ended {
		return nil
	}
	interrupted := errors.Is(err, context.Canceled)
	const declined = "nobody confirmed it" // on a terminal, where that is all there is to say
	return f.end(new(replay.Summary), f.env.now().Sub(f.began), cmp.Or(brokenOff(interrupted, err), declined))
}

// junitFile is a report that gets its name when it is whole. A pipe or a device stays one, and gets all of it at the end.
type junitFile struct {
	*replay.JUnit
	file *os.File
	name string
}

func newJUnitFile(name string, began time.Time) (*junitFile, error) {
	const stdout = "-"
	if name == stdout {
		return nil, misused("name a file: on stdout are the sends", "--junit - is no file")
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, misused("name a file in it", "--junit: %s is a folder", name)
	}
	folder := filepath.Dir(followed(name))
	if isSink(name) {
		folder = os.TempDir()
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(name)+"-*")
	if err != nil {
		return nil, misused("name a file in a folder that can be written to", "--junit: %w", err)
	}
	j := &junitFile{file: file, name: name}
	if j.JUnit, err = replay.NewJUnit(file, "hooktape replay", began); err != nil {
		return nil, errors.Join(err, j.discard())
	}
	return j, nil
}

// close ends the report and gives it its name.
func (j *junitFile) close(now time.Time, brokenOff string) error {
	if isSink(j.name) {
		return errors.Join(j.Close(now, brokenOff), j.copy(), j.discard())
	}
	const everybody = 0o644 // reports are read by others; secrets in them are masked
	err := errors.Join(j.Close(now, brokenOff), j.file.Chmod(everybody), j.file.Close())
	if err == nil {
		err = os.Rename(j.file.Name(), followed(j.name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(j.file.Name()))
	}
	return nil
}

// copy writes the report to what is no file.
func (j *junitFile) copy() error {
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return newFile{doing: "write", path: j.name}.writeSink(func(to *os.File) error {
		_, err := io.Copy(to, j.file)
		return err
	})
}

func (j *junitFile) discard() error { return errors.Join(j.file.Close(), os.Remove(j.file.Name())) }

// appendTo has something written behind what a file has.
func appendTo(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
