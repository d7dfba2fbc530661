package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	account "os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sshd is a real OpenSSH server to which a user of hooktape can log in. It is at 127.0.0.2, so that what it forwards for
// 127.0.0.1 only, the host itself, can be told from what is public.
type sshd struct {
	t       testing.TB
	dir     string
	addr    string
	process *exec.Cmd
}

// newSSHD makes its keys, and lets the user know them. It runs when it is started.
func newSSHD(u *user) *sshd {
	s := &sshd{t: u.t, dir: u.t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	l.Close()
	own := filepath.Join(u.dir, ".ssh")
	if err := os.MkdirAll(own, 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.makeKey(filepath.Join(s.dir, "host"))
	s.makeKey(filepath.Join(own, "id_ed25519"))
	s.known(u)
	u.env = append(u.env, "SSH_AUTH_SOCK=")
	return s
}

func (s *sshd) makeKey(file string) {
	s.t.Helper()
	keygen := needsProgram(s.t, "ssh-keygen")
	if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

// known writes the key of the server where the user's ssh would.
func (s *sshd) known(u *user) {
	s.t.Helper()
	key, err := os.ReadFile(filepath.Join(s.dir, "host.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.addr)
	u.writes(".ssh/known_hosts", "["+host+"]:"+port+" "+string(key))
}

// start runs it with more lines of sshd_config, until the test ends or stop.
func (s *sshd) start(u *user, lines ...string) {
	s.t.Helper()
	program, err := exec.LookPath("sshd")
	if err != nil {
		program = "/usr/sbin/sshd" // where a user's PATH does not lead
	}
	if _, err := os.Stat(program); err != nil {
		missing(s.t, "sshd is not installed")
	}
	if os.Geteuid() == 0 { // only then it wants this folder, which its package's service makes
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	config := filepath.Join(s.dir, "sshd_config")
	text := strings.Join(append([]string{
		"ListenAddress " + s.addr, "HostKey " + filepath.Join(s.dir, "host"), "PidFile none", "StrictModes no", "UsePAM no",
		"AuthorizedKeysFile " + filepath.Join(u.dir, ".ssh", "id_ed25519.pub"), "MaxStartups 100",
	}, lines...), "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(program, "-D", "-e", "-f", config)
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
	err = poll(func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		s.t.Fatalf("sshd does not listen\n%s", s.log())
	}
}

// stop ends it and the processes that it has for each connection, as when the host is switched off.
func (s *sshd) stop() {
	if s.process == nil {
		return
	}
	pid := strconv.Itoa(s.process.Process.Pid)
	_ = s.process.Process.Signal(syscall.SIGSTOP) // so that there will be no more of them
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		s.t.Error(err)
	}
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
	if s.t.Failed() {
		s.t.Logf("the log of sshd:\n%s", s.log())
	}
}

func (s *sshd) log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b)
}

// who is the user and address to give with --ssh.
func (s *sshd) who() string {
	s.t.Helper()
	me, err := account.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	return me.Username + "@" + s.addr
}

// awaitOutput waits until an agent has printed what a pattern has a group for, behind the n first bytes.
func (u *user) awaitOutput(n int, pattern string) (group string, at int) {
	u.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	timeout := time.After(patienceOfTests)
	for {
		text, more := u.agent.out.read()
		if found := re.FindStringSubmatchIndex(text[n:]); found != nil {
			return text[n:][found[2]:found[3]], n + found[1]
		}
		select {
		case <-more:
		case <-u.agent.done:
			u.t.Fatalf("it ended before it printed %s:\n%s%s", pattern, u.agent.out, u.agent.errs)
		case <-timeout:
			u.t.Fatalf("it never printed %s:\n%s", pattern, text)
		}
	}
}

const publicAddress = `^public address (http://127\.0\.0\.2:[0-9]+)$`

func TestRequestsComeThroughAnSSHServerVerbatimAlsoWhenItWasAway(t *testing.T) {
	t.Parallel()
	u, app := newUser(t), startApp(t)
	server := newSSHD(u)
	server.start(u, "GatewayPorts clientspecified")
	u.start("http", portOf(app.addr), "--ssh", server.who(), "--ssh-port", "0")
	public, at := u.awaitOutput(0, publicAddress)
	there := strings.TrimPrefix(public, "http://")
	requests := [][]byte{
		[]byte("POST /a//b?x=%zz HTTP/1.1\r\nhOST:  hooks.example.com \r\nX-Dup: 1\r\nx-dup: 2\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: t\r\n\r\n"),
		requestOfSize(3 << 20), // more than the window of a channel
	}
	for i, request := range requests {
		answers, err := exchange(there, request, andHangUp)
		if err != nil || len(answers) != 1 || statusOf(answers[0]) != 200 {
			t.Fatalf("request %d: %q, %v", i, answers, err)
		}
		sameBytes(t, "on the tape", u.run("show", "--raw", "last"), request)
	}
	if got := string(u.run("list", "--json", "--where", `via == "ssh" && remote != ""`, "-n", "1")); !strings.Contains(got, `"remote":"127.0.0.1:`) {
		t.Errorf("the record does not name its sender: %s", got)
	}
	if n := strings.Count(string(u.run("list", "--json")), "\n"); n != len(requests) {
		t.Errorf("%d records of %d requests", n, len(requests))
	}

	server.stop()
	_, at = u.awaitOutput(at, `^(the link to 127\.0\.0\.2 has been down) since [0-9:]+, senders can't reach this agent: `)
	server.start(u, "GatewayPorts yes")
	u.awaitOutput(at, `^the link to 127\.0\.0\.2 is back after ([0-9]+)`)
	answers, err := exchange(there, []byte("GET /back HTTP/1.1\r\nHost: h\r\n\r\n"), inOneWrite)
	if err != nil || len(answers) != 1 || statusOf(answers[0]) != 200 {
		t.Fatalf("at the same port: %q, %v", answers, err)
	}
	if n := strings.Count(u.agent.out.String(), "has been down since"); n != 1 {
		t.Errorf("the loss of the link was told %d times", n)
	}
}

func TestAPortThatIsNotPublicIsSaidToBeSo(t *testing.T) {
	t.Parallel()
	u, app := newUser(t), startApp(t)
	server := newSSHD(u)
	server.start(u, "GatewayPorts no")
	u.start("http", portOf(app.addr), "--ssh", server.who(), "--ssh-port", "0")
	_, at := u.awaitOutput(0, `^no public address yet, still trying: http://127\.0\.0\.2:[0-9]+: .*(refused)`)
	inside, at := u.awaitOutput(at, `^so far only 127\.0\.0\.2 itself can send here, to (http://127\.0\.0\.1:[0-9]+)$`)
	u.awaitOutput(at, `^hint: .*(GatewayPorts clientspecified)`)
	r, err := http.Post(inside, "text/plain", strings.NewReader("from the host itself"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if _, err := app.await(1); err != nil {
		t.Error(err)
	}
	if strings.Contains(u.agent.out.String(), "public address http") {
		t.Error("it prints a public address")
	}

	// a server on the host passes requests on to it, and says where to come
	u.agent.stop(syscall.SIGTERM)
	passing := newDetour(t)
	public := "http://" + passing.Addr
	u.start("http", portOf(app.addr), "--ssh", server.who(), "--ssh-port", portOf(strings.TrimPrefix(inside, "http://")), "--public-url", public)
	passing.Lead(strings.TrimPrefix(inside, "http://"))
	u.awaitOutput(0, `^public address (`+regexp.QuoteMeta(public)+`)$`)
}

func TestAnSSHServerThatRefusesEndsItAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	server := newSSHD(u)
	server.start(u, "AllowTcpForwarding no")
	fails := func(wants ...string) {
		t.Helper()
		_, err := u.try("http", "1", "--listen", "127.0.0.1:0", "--inspect", "127.0.0.1:0", "--ssh", server.who())
		exit, ended := errors.AsType[*exec.ExitError](err)
		if !ended || exit.ExitCode() != exitCannot {
			t.Fatalf("it ended with %v", err)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("it did not say %q, but %v", want, err)
			}
		}
	}
	fails("refuses to forward a port", "hint: its sshd_config needs AllowTcpForwarding yes")

	stranger := filepath.Join(u.dir, ".ssh", "id_ed25519")
	for _, file := range []string{stranger, stranger + ".pub"} {
		if err := os.Rename(file, file+".kept"); err != nil {
			t.Fatal(err)
		}
	}
	server.makeKey(stranger)
	kept, err := os.ReadFile(stranger + ".pub.kept")
	if err != nil {
		t.Fatal(err)
	}
	u.writes(".ssh/id_ed25519.pub", string(kept)) // which the server lets in
	fails("it accepts none of", ".ssh/id_ed25519 (SHA256:", "hint: ssh-copy-id -p ")

	server.stop()
	os.Remove(filepath.Join(server.dir, "host"))
	server.makeKey(filepath.Join(server.dir, "host"))
	server.start(u)
	fails("the key of 127.0.0.2:", "has changed", "known_hosts:1 (ssh-ed25519 SHA256:", "hint: somebody may be intercepting the connection. Only if you know that the host has a new key: ssh-keygen -R '[127.0.0.2]:")

	u.writes(".ssh/known_hosts", "")
	fails("is not a known host: it shows ssh-ed25519 SHA256:", "let ssh add it to known_hosts: ssh -p ")
}
