package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"

	"github.com/hooktape/hooktape/relay/tunnel"
)

// sshHost is what ~/.ssh/config says of a host, by its alias (ssh_config(5)).
type sshHost struct {
	name, user, port string   // "": nothing
	keys             []string // files, the first is tried first
	through          string   // the keyword for how it is reached if not directly; "": directly
	passed           []string // lines whose blocks were skipped: they may have been for the host
}

// readSSHHost reads what a file says of a host. If there is no file, it says nothing.
func readSSHHost(file, home, alias string) (h sshHost, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	legible, passed := legibleSSHConfig(string(text), alias)
	h.passed = passed
	config, err := ssh_config.Decode(strings.NewReader(legible))
	if err != nil {
		return h, err
	}
	get := func(key string) string {
		value, _ := config.Get(alias, key) // fails for what Decode does not make
		return strings.Trim(value, `"`)
	}
	h.name = sshHostName(config, alias)
	h.user, h.port = get("User"), get("Port")
	for _, key := range []string{"ProxyJump", "ProxyCommand"} {
		if value := get(key); value != "" && !strings.EqualFold(value, "none") {
			h.through = cmp.Or(h.through, key)
		}
	}
	files, _ := config.GetAll(alias, "IdentityFile")
	for _, key := range files {
		h.keys = append(h.keys, h.keyFile(strings.Trim(key, `"`), home, alias))
	}
	return h, nil
}

// sshHostName is the name that a host is given; "": its alias is its name.
func sshHostName(config *ssh_config.Config, alias string) string {
	name, _ := config.Get(alias, "HostName") // fails for what Decode does not make
	return strings.NewReplacer("%h", alias, "%%", "%").Replace(strings.Trim(name, `"`))
}

// legibleSSHConfig rewrites a configuration for its parser, which knows no quotes around hosts and no tabs between them, and
// no Match other than of hosts. A block under any other Match becomes one for no host, and the line is in passed.
func legibleSSHConfig(text, alias string) (legible string, passed []string) {
	var out strings.Builder
	for line := range strings.Lines(text) {
		words := sshWords(line)
		switch {
		case words == nil:
		case len(words) > 1 && strings.EqualFold(words[0], "Host"):
			line = sshBlock(words[1:])
		case !strings.EqualFold(words[0], "Match"):
		case len(words) == 2 && strings.EqualFold(words[1], "all"):
			line = sshBlock([]string{"*"})
		case len(words) == 3 && strings.EqualFold(words[1], "originalhost"):
			line = sshBlock(strings.Split(words[2], ","))
		case len(words) == 3 && strings.EqualFold(words[1], "host"):
			line = sshBlock(sshMatch(strings.Split(words[2], ","), out.String(), alias))
		default:
			passed = append(passed, strings.TrimSpace(line))
			line = sshBlock(nil)
		}
		out.WriteString(line)
	}
	return out.String(), passed
}

// sshMatch is a pattern for every host if the patterns of a "Match host" match the name that the lines before it give the
// host, otherwise a pattern for none.
func sshMatch(patterns []string, before, alias string) []string {
	config, err := ssh_config.Decode(strings.NewReader(before))
	if err != nil { // the whole file has the same error
		return nil
	}
	var block ssh_config.Host
	for _, text := range patterns {
		if p, err := ssh_config.NewPattern(text); err == nil {
			block.Patterns = append(block.Patterns, p)
		}
	}
	if !block.Matches(cmp.Or(sshHostName(config, alias), alias)) {
		return nil
	}
	return []string{"*"}
}

// sshBlock is the line that begins a block for hosts, if any. No host that --ssh takes has a blank in its name.
func sshBlock(patterns []string) string {
	patterns = slices.DeleteFunc(patterns, func(p string) bool { return p == "" || strings.ContainsAny(p, " \t") })
	if len(patterns) == 0 {
		patterns = []string{"!*"}
	}
	return "Host " + strings.Join(patterns, " ") + "\n"
}

// sshWords are the keyword of a line and its arguments, separated by blanks, or by a = after the keyword; what contains
// blanks is quoted.
func sshWords(line string) (words []string) {
	rest := strings.TrimSpace(line)
	for rest != "" && rest[0] != '#' {
		var word string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			word, rest, _ = strings.Cut(quoted, `"`)
		} else {
			i := strings.IndexAny(rest+" ", " \t")
			if len(words) == 0 {
				i = strings.IndexAny(rest+" ", " \t=")
			}
			word, rest = rest[:i], rest[i:]
		}
		words = append(words, word)
		if rest = strings.TrimLeft(rest, " \t"); len(words) == 1 {
			rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
		}
	}
	return words
}

// keyFile is the file that an IdentityFile names.
func (h *sshHost) keyFile(name, home, alias string) string {
	name = strings.NewReplacer("%d", home, "%h", cmp.Or(h.name, alias), "%r", h.user, "%%", "%").Replace(name)
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return name
}

// apply sets what h says of a server, unless the command line said it.
func (h *sshHost) apply(s *tunnel.SSHServer) error {
	if h.through != "" {
		return misused("ssh -R does that, with hooktape http at its other end", "~/.ssh/config has %s for %s, and --ssh reaches hosts directly only", h.through, s.Host)
	}
	name, alias := cmp.Or(h.name, s.Host), s.Host
	s.Host, s.User, s.Port = strings.ToLower(name), cmp.Or(s.User, h.user), cmp.Or(s.Port, h.port)
	if !isHost(s.Host) || s.Port != "" && !isPort(s.Port) {
		return misused("", "~/.ssh/config has %q and port %q for %s, which is not the address of an SSH server", name, h.port, alias)
	}
	if h.keys != nil {
		s.KeyFiles = h.keys
	}
	return nil
}
