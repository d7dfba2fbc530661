package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/acme"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

func newCheck(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "check --config FILE | --data PATH",
		Short: "Check a config file and what it needs, or a tape",
		Long: `With --config, checks the config file, the environment variables and files that
it names, the addresses it listens on and the folder of its tape. Nothing is
started or changed.

With --data or --name alone, reads the whole tape and checks every page and the
checksum of every value. No agent may be running on it; a backup can be checked
at any time. Damage is printed, and the exit code is 1.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if e.config != "" || e.data == "" && e.name == "" {
				return e.check()
			}
			path, err := e.dataPath()
			if err != nil {
				return err
			}
			return e.checkData(path)
		},
	}
}

func (e *env) check() error {
	cfg, err := e.loadConfigToRun("")
	if err != nil {
		return err
	}
	if cfg.Data, err = e.dataOver(cfg.Data); err != nil {
		return err
	}
	for name, address := range map[string]string{"listen": cfg.Listen, "inspect": cfg.Inspect} {
		if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
			return misused("", "%s = %q: %w", name, address, err)
		}
	}
	tape, err := describeTape(cfg.Data)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s: %s, all right\n", e.config, counted(len(cfg.Sources), "source"))
	if cfg.Blank {
		fmt.Fprintln(e.stdout, "  the file is empty or has only comments: a running agent ignores it")
	}
	for _, s := range cfg.Sources {
		fmt.Fprintf(e.stdout, "  %s: %s\n", s.Name, describeSource(s, cfg.Mask))
	}
	if edge := cfg.Edge; edge != nil {
		names := make([]string, len(edge.Tunnels))
		for i, t := range edge.Tunnels {
			names[i] = t.Name
		}
		fmt.Fprintf(e.stdout, "edge %s: tunnels for %s\n", edge.Domain, cmp.Or(strings.Join(names, ", "), "everybody who has a token"))
	}
	if up := cfg.Uplink; up != nil {
		fmt.Fprintf(e.stdout, "uplink %s\n", up.Edge.Redacted())
	}
	switch t := cfg.TLS; {
	case t == nil:
	case t.ACME != nil:
		e.describeACME(cfg)
	default:
		fmt.Fprintf(e.stdout, "tls %s: for %s, until %s\n", t.Cert, strings.Join(t.Names(), ", "), t.Certificate.Leaf.NotAfter.Local().Format(time.DateTime))
	}
	fmt.Fprintf(e.stdout, "data %s: %s\n", cfg.Data, tape)
	return nil
}

// describeACME says which certificates a CA is asked for, and what can't be seen from here: whether the CA's questions get
// through.
func (e *env) describeACME(cfg *config.Config) {
	a, settings := cfg.TLS.ACME, cfg.Certificates()
	fmt.Fprintf(e.stdout, "tls from %s, kept in %s\n", a.Directory, settings.Folder)
	kept := acme.Kept(settings)
	for _, name := range a.Names {
		until := "will be ordered"
		if leaf := kept[name]; leaf != nil {
			until = "until " + leaf.NotAfter.Local().Format(time.DateTime)
		}
		fmt.Fprintf(e.stdout, "  %s: %s\n", name, until)
	}
	asks := "port 443, which must lead to " + cfg.Listen
	if a.HTTP != "" {
		asks += ", or to port 80, which must lead to " + a.HTTP
	}
	fmt.Fprintf(e.stdout, "  each name must resolve to this machine: the CA connects to %s\n", asks)
	with, _ := cfg.WithTunnels(nil, nil)
	for _, s := range with.Sources {
		if s.Host == "" || slices.Contains(a.Names, s.Host) {
			continue
		}
		instead := "it gets no certificate, so senders can't connect to it"
		if s.Tunnel != "" {
			instead = "senders use " + s.PublicURL
		}
		fmt.Fprintf(e.stdout, "  %s is not among the names: %s\n", s.Host, instead)
	}
}

// describeSource says in a line where a source's requests go.
func describeSource(s config.Source, names mask.Names) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s", s.Host, s.Path)
	if s.Template {
		b.WriteString(", a template")
	}
	if s.Respond == config.RespondTarget {
		b.WriteString(", the target answers")
	} else {
		b.WriteString(", hooktape answers")
	}
	for _, t := range s.Targets {
		fmt.Fprintf(&b, ", to %s at %s", t.Name, names.Target(t.URL.String()))
	}
	return b.String()
}

// describeTape says in what state the tape is, or why there can be none.
func describeTape(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return "", cannot("choose another place with data", "the folder of %s is a file", path)
		}
		return "does not exist yet, will be created", nil
	case err != nil:
		return "", cannot("choose a place that you may read and write", "data: %w", err)
	}
	tape, err := store.Open(path, store.Options{ReadOnly: true})
	if locked, ok := errors.AsType[*store.LockedError](err); ok {
		return locked.Error(), nil
	}
	if older, ok := errors.AsType[*store.OlderError](err); ok {
		return older.Error(), nil
	}
	if err != nil {
		return "", startError(path, err)
	}
	defer tape.Close()
	return fmt.Sprintf("%d bytes, can be read", info.Size()), nil
}
