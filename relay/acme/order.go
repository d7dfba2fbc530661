package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	orderTime  = 3 * time.Minute  // for a whole order: the CA checks several times, and has a queue
	answerTime = 30 * time.Second // for one answer of the CA
	retries    = 4                // of a request that the CA could not accept just now: nonces expire
	retryFirst = 200 * time.Millisecond
)

// client is an account at a CA.
type client struct {
	*acme.Client
	of Settings // without names
}

// account is the account for the settings. It is made if there is none yet.
func (k *Keeper) account(ctx context.Context, s Settings) (*acme.Client, error) {
	s.Names = nil
	if k.client != nil && reflect.DeepEqual(k.client.of, s) {
		return k.client.Client, nil
	}
	key, err := accountKey(ctx, s.cache())
	if err != nil {
		return nil, err
	}
	c := &client{of: s, Client: &acme.Client{
		Key: key, DirectoryURL: s.Directory, UserAgent: "hooktape", RetryBackoff: backOff,
		HTTPClient: &http.Client{Transport: k.o.CA, Timeout: answerTime},
	}}
	if err := c.register(ctx); err != nil {
		return nil, err
	}
	k.client = c
	return c.Client, nil
}

// register makes the account or, if there is one, tells the CA where it may write to now. A CA that does not accept that
// issues certificates all the same.
func (c *client) register(ctx context.Context) error {
	var account acme.Account
	if c.of.Email != "" {
		account.Contact = []string{"mailto:" + c.of.Email}
	}
	_, err := c.Register(ctx, &account, acme.AcceptTOS)
	if !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return err
	}
	if account.Contact != nil {
		_, _ = c.UpdateReg(ctx, &account)
	}
	return nil
}

// backOff is how long acme.Client waits before it repeats a failed request. A CA that says there were too many is not asked
// again.
func backOff(n int, _ *http.Request, r *http.Response) time.Duration {
	if n > retries || r.StatusCode == http.StatusTooManyRequests {
		return 0
	}
	return retryFirst << n
}

// obtain orders a certificate, and returns its key and chain as they are kept. When the CA can't check in one way that the
// name is ours, it is asked to check in the next.
func (k *Keeper) obtain(ctx context.Context, s Settings, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	client, err := k.account(ctx, s)
	if err != nil {
		return nil, err
	}
	var said []string
	for _, way := range k.ways() {
		text, err := k.order(ctx, client, name, way)
		unproven, is := errors.AsType[*notProven](err)
		if !is {
			return text, err
		}
		said = append(said, unproven.said)
	}
	return nil, &notProven{strings.Join(said, "; ")}
}

// notProven is why the CA does not accept that a name is ours.
type notProven struct{ said string }

func (n *notProven) Error() string {
	return "the CA could not verify that the name leads here: " + n.said
}

func (k *Keeper) order(ctx context.Context, client *acme.Client, name, way string) ([]byte, error) {
	o, err := client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return nil, err
	}
	for _, url := range o.AuthzURLs {
		if err := k.prove(ctx, client, name, way, url); err != nil {
			return nil, err
		}
	}
	if o, err = client.WaitOrder(ctx, o.URI); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, o, csr, true)
	if err != nil {
		return nil, err
	}
	return encode(key, chain)
}

// prove shows the CA that a name is ours, if it wants proof.
func (k *Keeper) prove(ctx context.Context, client *acme.Client, name, way, url string) error {
	z, err := client.GetAuthorization(ctx, url)
	if err != nil || z.Status == acme.StatusValid {
		return err
	}
	i := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == way })
	if i < 0 {
		return &notProven{way + ": it does not offer this check"}
	}
	q, err := newQuestion(client, name, z.Challenges[i])
	if err != nil {
		return err
	}
	k.expect(name, q)
	if _, err := client.Accept(ctx, z.Challenges[i]); err != nil {
		return err
	}
	_, err = client.WaitAuthorization(ctx, url)
	if refused, is := errors.AsType[*acme.AuthorizationError](err); is {
		return &notProven{way + ": " + details(refused)}
	}
	return err
}

// details are what a CA says about a name that it could not check.
func details(refused *acme.AuthorizationError) string {
	var said []string
	for _, err := range refused.Errors {
		if problem, is := errors.AsType[*acme.Error](err); is {
			err = errors.New(problem.Detail)
		}
		said = append(said, err.Error())
	}
	if len(said) == 0 {
		return fmt.Sprintf("it gives no reason but %q", acme.StatusInvalid)
	}
	return strings.Join(said, ", ")
}
