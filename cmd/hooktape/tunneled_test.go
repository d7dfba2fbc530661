package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/hooktape/hooktape/relay/wire/detour"
	"github.com/hooktape/hooktape/store"
)

// tunneled puts the app of a config behind a tunnel: the agent of the config is an edge, the target that led to the app is a
// tunnel, and the agent of a laptop passes on what comes through it to where that target led.
//
// Of the five systems, ASNA, Bitrix24 and iiko have such an app. QTickets has none, its agent stands before an API, and so
// that is what is put there. Metrika has neither: its one target gets another request than the one that came, which a
// tunnel can't be told to make. There the whole config moves behind the tunnel instead: see metrika.placeBehindTunnel.
// Targets of calls that go out ("direction") stay what they are: nobody waits for those behind a tunnel.
type tunneled struct {
	dir     string // of both agents' files
	between *detour.Detour
	laptop  *agentProcess // of the agent that was started last; nil: none was
}

func newTunneled(dir string) (*tunneled, error) {
	between, err := detour.New()
	return &tunneled{dir: dir, between: between}, err
}

// close ends the laptop. The error has its log.
func (u *tunneled) close() error {
	defer u.between.Close()
	return u.stopLaptop()
}

func (u *tunneled) stopLaptop() error {
	a := u.laptop
	u.laptop = nil
	if a == nil {
		return nil
	}
	if err := a.stop(syscall.SIGTERM); err != nil || a.unwell() {
		return fmt.Errorf("the laptop ended: %w\n%s", err, a.errs)
	}
	return nil
}

// start is startAgent for both agents. It returns that of the config, once the tunnel is open.
func (u *tunneled) start(dir string, environ []string, line ...string) (*agentProcess, error) {
	if err := u.stopLaptop(); err != nil {
		return nil, err
	}
	i := slices.Index(line, "--config")
	path := line[i+1]
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	edge, laptop, err := u.split(path)
	if err != nil {
		return nil, err
	}
	line = slices.Clone(line)
	line[i+1] = edge
	agent, err := startAgent(dir, environ, line...)
	if err != nil {
		return nil, err
	}
	u.between.Lead(agent.addr)
	environ = append(slices.Clip(environ), "HOOKTAPE_DATA="+filepath.Join(u.dir, "laptop.db"))
	if u.laptop, err = startAgent(u.dir, environ, line[0], "run", "--config", laptop); err == nil {
		_, err = agent.await(agent.errs, regexp.MustCompile("tunnel is open"))
	}
	if err != nil {
		agent.kill()
		return nil, err
	}
	return agent, nil
}

var (
	sourceBlock = regexp.MustCompile(`(?ms)^source "([^"]+)" \{\n.*?^\}\n`)
	sourcePath  = regexp.MustCompile(`(?m)^  path +=.*\n`)
	appTarget   = regexp.MustCompile(`(?ms)^  target "(?:app|api)" \{\n.*?^  \}\n`)
	targetURL   = regexp.MustCompile(`(?m)^    url +=.*\n`)
	targetOrder = regexp.MustCompile(`(?m)^    order_by +=.*\n`)
)

// split makes two configs of one.
func (u *tunneled) split(path string) (edge, laptop string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	const token = "a token that is no secret"
	own := store.Token{Hash: store.HashToken(token)}
	public := fmt.Sprintf("edge {\n  domain = \"127.0.0.1\"\n  tunnel \"alice\" {\n    token_hash = %q\n  }\n}\n", own.HashText())
	private := fmt.Sprintf("uplink {\n  edge  = \"http://%s\"\n  token = %q\n}\n", u.between.Addr, token)
	hasApp := strings.Contains(string(text), `target "app"`)
	public += sourceBlock.ReplaceAllStringFunc(string(text), func(source string) string {
		target := appTarget.FindString(source)
		if target == "" || hasApp != strings.Contains(target, `target "app"`) {
			return source
		}
		url := targetURL.FindString(target)
		private += fmt.Sprintf("source %q {\n  respond = \"target\"\n  patience = \"1m\"\n%s  target \"app\" {\n%s%s  }\n}\n",
			sourceBlock.FindStringSubmatch(source)[1], sourcePath.FindString(source), url, targetOrder.FindString(target))
		return strings.Replace(source, url, "    tunnel = \"alice\"\n", 1)
	})
	if !strings.Contains(private, "source ") {
		return "", "", fmt.Errorf("%s has no app", path)
	}
	folder := filepath.Join(u.dir, "edge")
	if err := copyNamed(folder, filepath.Dir(path), string(text)); err != nil {
		return "", "", err
	}
	edge, laptop = filepath.Join(folder, "edge.hcl"), filepath.Join(u.dir, "laptop.hcl")
	for name, text := range map[string]string{edge: public, laptop: private} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return "", "", err
		}
	}
	return edge, laptop, nil
}

// copyNamed copies the files of a folder that a config names.
func copyNamed(to, from, config string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.Contains(config, `"`+e.Name()+`"`) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
