package main

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kevinburke/ssh_config"

	"github.com/hooktape/hooktape/relay/tunnel"
)

// sshHost is what ~/.ssh/config says of a host, by its alias (ssh_config(5)).
type sshHost struct {
	name, user, port string   // "": nothing
	keys             []string // files, the first is tried first
	through          string   // how else than directly it is reached; "": directly
}

// readSSHHost reads that of a file. Where there is none, nothing is said of the host.
func readSSHHost(file, home, alias string) (h sshHost, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	config, err := ssh_config.Decode(bytes.NewReader(text))
	if err != nil {
		return h, err
	}
	get := func(key string) string {
		value, _ := config.Get(alias, key) // fails for what Decode does not make
		return strings.Trim(value, `"`)
	}
	h.name = strings.NewReplacer("%h", alias, "%%", "%").Replace(get("HostName"))
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

// keyFile is the file that an IdentityFile names.
func (h *sshHost) keyFile(name, home, alias string) string {
	name = strings.NewReplacer("%d", home, "%h", cmp.Or(h.name, alias), "%r", h.user, "%%", "%").Replace(name)
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return name
}

// apply says the same of a server, where the command line has said nothing.
func (h *sshHost) apply(s *tunnel.SSHServer) error {
	if h.through != "" {
		return misused("ssh -R does that, with hooktape http at its other end", "~/.ssh/config has %s for %s, and --ssh reaches hosts directly only", h.through, s.Host)
	}
	name, alias := cmp.Or(h.name, s.Host), s.Host
	s.Host, s.User, s.Port = strings.ToLower(name), cmp.Or(s.User, h.user), cmp.Or(s.Port, h.port)
	if !isHost(s.Host) || s.Port != "" && !isPort(s.Port) {
		return misused("", "~/.ssh/config has %q and port %q for %s, which is no host of an SSH server", name, h.port, alias)
	}
	if h.keys != nil {
		s.KeyFiles = h.keys
	}
	return nil
}
