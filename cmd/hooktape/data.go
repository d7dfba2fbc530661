package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
)

// place is everything that decides where the tape is. It only has values, so that
// the rule can be tested.
type place struct {
	data   string // --data, else HOOKTAPE_DATA
	config string // the data path of the configuration given with -c, already relative to its file
	name   string // --name
	dir    string // the working directory, absolute, symbolic links resolved
	state  string // the user's state directory
}

// path is the database file: --data, else the configuration's, else NAME.db in
// the state directory. Without --name, NAME is the working directory's base
// name and six hex digits of a hash of its whole path: two projects in folders
// of the same name never share a tape, and the same folder always finds its own.
func (p place) path() (string, error) {
	switch {
	case p.data != "":
		return p.data, nil
	case p.config != "":
		return p.config, nil
	case p.state == "":
		return "", fmt.Errorf("no state directory is known to keep the tape in")
	case p.name != "":
		if safeName(p.name) != p.name {
			return "", fmt.Errorf("--name %q is not a plain name", p.name)
		}
		return filepath.Join(p.state, "hooktape", p.name+".db"), nil
	}
	sum := sha256.Sum256([]byte(p.dir))
	name := safeName(filepath.Base(p.dir)) + "-" + hex.EncodeToString(sum[:3])
	return filepath.Join(p.state, "hooktape", name+".db"), nil
}

// safeName makes a file name of s: letters, digits, dot, dash and underscore
// stay, at most 64 of them, and no leading dot.
func safeName(s string) string {
	const longest = 64 // characters; file systems take 255 bytes
	kept := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, s)
	if r := []rune(kept); len(r) > longest {
		kept = string(r[:longest])
	}
	if kept = strings.TrimLeft(kept, ".-"); kept == "" {
		return "root"
	}
	return kept
}

// stateDir is where a user's programs keep what they must not lose:
// XDG_STATE_HOME or ~/.local/state, and what macOS and Windows have instead.
// "" when the environment names none.
func stateDir(goos string, lookup func(string) (string, bool)) string {
	get := func(key string) string { v, _ := lookup(key); return v }
	switch goos {
	case "windows":
		return get("LocalAppData")
	case "darwin":
		if home := get("HOME"); home != "" {
			return filepath.Join(home, "Library", "Application Support")
		}
		return ""
	}
	// The XDG base directory specification says to ignore a relative path.
	if dir := get("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	if home := get("HOME"); home != "" {
		return filepath.Join(home, ".local", "state")
	}
	return ""
}

// dataPath is the database that this command works on.
func (e *env) dataPath() (string, error) {
	if e.config == "" {
		return e.dataOver("")
	}
	c, err := e.loadConfig()
	if err != nil {
		return "", err
	}
	return e.dataOver(c.Data)
}

// dataOver is the database. Whatever comes first decides: --data or --name,
// HOOKTAPE_DATA, the configuration, which says configured ("" if there is none),
// or else the working directory.
func (e *env) dataOver(configured string) (string, error) {
	p := place{data: e.data, name: e.name, config: configured, state: stateDir(runtime.GOOS, e.lookup), dir: e.workingDir()}
	switch {
	case e.name != "" && (e.data != "" || e.config != ""):
		return "", misused("", "--name names a tape, and so does --data or --config: give one of them")
	case e.name == "" && e.data == "":
		p.data, _ = e.lookup("HOOKTAPE_DATA")
	}
	path, err := p.path()
	if err != nil {
		return "", misused("name the tape with --data PATH", "%w", err)
	}
	return path, nil
}

// workingDir is where the command runs, without symbolic links, so that a folder
// has only one name.
func (e *env) workingDir() string {
	dir, err := e.getwd()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
