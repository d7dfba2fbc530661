package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// traced runs the test again in a process of its own under strace, and returns what strace saw.
func traced(t *testing.T, env string, use ...string) (trace string, ran error) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		notTraced(t, err.Error())
	}
	to := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), "strace", append(append([]string{"-f", "-o", to}, use...), os.Args[0], "-test.run", "^"+t.Name()+"$")...)
	cmd.Env = append(os.Environ(), env, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // else each waits a second for races to be told
	out, ran := cmd.CombinedOutput()
	if text := string(out); ran != nil && (strings.Contains(text, "ptrace") || strings.Contains(text, "PTRACE_")) {
		notTraced(t, text)
	}
	seen, err := os.ReadFile(to)
	if err != nil {
		t.Fatalf("%v: %s", errors.Join(err, ran), out)
	}
	return string(seen), ran
}

// notTraced skips, unless all tests are wanted.
func notTraced(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
		t.Fatalf("HOOKTAPE_ALL_TESTS=1: strace can't trace here: %s", why)
	}
	t.Skipf("NOT TESTED HERE: strace can't trace here: %s", why)
}

// stepsAside are the calls that change what names there are, and that make it last.
var stepsAside = []string{"link", "rename", "unlink", "fsync"}

// Wherever it breaks off, the next Open has what the damaged tape knew, and the damaged tape has a name.
func TestSettingAsideEndsWellWhereverItIsBrokenOff(t *testing.T) {
	const asideEnv = "HOOKTAPE_TEST_ASIDE" // names the tape, in the process that is broken off
	if path := os.Getenv(asideEnv); path != "" {
		runtime.LockOSThread() // strace counts the calls of each thread
		s, err := Open(path, Options{SetAside: true})
		if err == nil {
			err = s.Close()
		}
		noProblem(t, err)
		return
	}
	damaged := damagedTape(t)
	of := func(call string) string { return "/^(" + call + ")(at2?)?$" }
	begin := func() (path string) {
		path = filepath.Join(t.TempDir(), "tape.db")
		noProblem(t, os.WriteFile(path, damaged, 0o600))
		return path
	}
	path := begin()
	clean, err := traced(t, asideEnv+"="+path, "-e", "trace="+of(strings.Join(stepsAside, "|")))
	noProblem(t, err)
	checkWentOn(t, "clean", path)
	for _, call := range stepsAside {
		for n := 1; n <= strings.Count(clean, " "+call); n++ {
			for _, fault := range []string{"signal=KILL", "error=EIO"} {
				path, what := begin(), fmt.Sprintf("%s, %s %d", fault, call, n)
				_, err := traced(t, asideEnv+"="+path, "-e", fmt.Sprintf("inject=%s:%s:when=%d", of(call), fault, n))
				if fault == "signal=KILL" && n == 1 && err == nil { // later calls may be made by other threads
					t.Errorf("%s: was not killed", what)
				}
				checkWentOn(t, what, path)
			}
		}
	}
}

// Each Open removes what a setting aside that was broken off has left, but nothing that somebody keeps beside a tape.
func TestOpeningATapeLeavesWhatIsBesideIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	for _, beside := range []string{".next", ".new", ".old", ".bak", ".damaged", ".salvaged"} {
		noProblem(t, os.WriteFile(path+beside, []byte("kept"), 0o600))
	}
	for range 2 {
		s, err := Open(path, Options{SetAside: true, NoSync: true})
		noProblem(t, err)
		noProblem(t, s.Close())
		noProblem(t, os.WriteFile(path, damagedTape(t), 0o600))
	}
	if kept, err := filepath.Glob(path + ".*"); err != nil || len(kept) != 7 {
		t.Errorf("there are %q, %v", kept, err)
	}
}

// What is in the way may be a link to another file, or not ours to write to.
func TestSettingAsideWritesToNoFileThatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	noProblem(t, os.WriteFile(path, damagedTape(t), 0o600))
	other := filepath.Join(t.TempDir(), "other")
	noProblem(t, os.WriteFile(other, []byte("kept"), 0o600))
	noProblem(t, os.Symlink(other, path+nextMark))
	checkWentOn(t, "a link", path)
	if kept, err := os.ReadFile(other); err != nil || string(kept) != "kept" {
		t.Errorf("the other file has %d bytes now, %v", len(kept), err)
	}
}

// When bbolt panics over a damaged tape, its mapping stays: so the tape is not tried with every request.
func TestADamagedTapeThatCanNotBeSetAsideIsNotMappedAgainAndAgain(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true}) // so that nothing is written ahead
	noProblem(t, err)
	defer s.Close()
	mustAppend(t, s)
	inTheWay := s.path + nextMark
	noProblem(t, os.MkdirAll(filepath.Join(inTheWay, "folder"), 0o700))
	noProblem(t, s.file.os.Truncate(3*pageSize))
	for range 50 {
		if _, c := appendBytes(s, []byte("bytes")); !errors.Is(c.Wait(), ErrDamaged) {
			t.Fatalf("an append came to %v", c.Wait())
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	noProblem(t, err)
	if n := strings.Count(string(maps), s.path); n > 2 {
		t.Errorf("mapped %d times", n)
	}
	noProblem(t, os.RemoveAll(inTheWay))
	mustAppend(t, s)
}

// damagedTape is a tape with a record, and with all that a new one takes over, which can't be opened.
func damagedTape(t *testing.T) []byte {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{NoSync: true})
	noProblem(t, err)
	noProblem(t, s.PutToken(Token{Name: "laptop"}))
	noProblem(t, s.PutMeta("key", []byte("value")))
	noProblem(t, s.ResumeSession("checkout"))
	mustAppend(t, s)
	p, err := s.file.pages()
	noProblem(t, err)
	noProblem(t, s.Close())
	all, err := os.ReadFile(s.path)
	noProblem(t, err)
	clear(all[p.meta.freelist*pageSize:][:pageSize])
	return all
}

// checkWentOn opens a tape whose setting aside was broken off.
func checkWentOn(t *testing.T, what, path string) {
	t.Helper()
	s, err := Open(path, Options{SetAside: true, NoSync: true})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	mustAppend(t, s)
	tokens, err1 := s.Tokens()
	value, err2 := s.Meta("key")
	session, err3 := s.Session("checkout")
	if err := errors.Join(err1, err2, err3, s.Close()); err != nil || len(tokens) != 1 || string(value) != "value" || !session.Capturing() {
		t.Errorf("%s: tokens %v, value %q, session %+v: %v", what, tokens, value, session, err)
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) != 2 || !strings.HasPrefix(names[1], path+asideMark) {
		t.Errorf("%s: left are %q, %v", what, names, err)
		return
	}
	if done, err := Salvage(names[1], path+".salvaged", Options{NoSync: true}); err != nil || done.Records != 1 {
		t.Errorf("%s: salvaged %+v, %v", what, done, err)
	}
}
