package config

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/mask"
)

// withoutSecrets is the text of a config file in which every byte of a secret is a star: of quoted values of keys with
// secret names, and of passwords in URLs. So all places stay where they are. Arguments of calls (env("NAME")) are
// shown.
func withoutSecrets(text []byte) []byte {
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos)
	c := concealer{shown: bytes.Clone(text)}
	for i, t := range tokens {
		c.take(t, tokens[:i])
	}
	return c.shown
}

type concealer struct {
	shown  []byte
	secret bool // the value of a secret name is being read
	nested int  // depth in lists and objects of that value
	calls  int  // depth in the arguments of calls
}

// take goes on by one token; before are all tokens that came before it.
func (c *concealer) take(t hclsyntax.Token, before hclsyntax.Tokens) {
	if t.Type != hclsyntax.TokenQuotedLit {
		c.hidePassword(before)
	}
	if !c.secret {
		assigns := t.Type == hclsyntax.TokenEqual || t.Type == hclsyntax.TokenColon
		c.secret = assigns && mask.Names(nil).IsSecret(lastName(before))
		c.nested, c.calls = 0, 0
		return
	}
	switch t.Type {
	case hclsyntax.TokenOParen:
		if c.calls > 0 || before[len(before)-1].Type == hclsyntax.TokenIdent {
			c.calls++
		}
	case hclsyntax.TokenCParen:
		c.calls = max(0, c.calls-1)
	case hclsyntax.TokenOBrack, hclsyntax.TokenOBrace:
		c.nested++
	case hclsyntax.TokenCBrack, hclsyntax.TokenCBrace:
		c.nested--
		c.secret = c.nested >= 0
	case hclsyntax.TokenNewline, hclsyntax.TokenComma:
		c.secret = c.nested > 0 || c.calls > 0
	case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		if c.calls == 0 {
			c.hide(t.Range.Start.Byte, t.Range.End.Byte)
		}
	}
}

// hidePassword hides the password of a URL that tokens end with. A text with a % in it is several tokens.
func (c *concealer) hidePassword(tokens hclsyntax.Tokens) {
	first := len(tokens)
	for first > 0 && tokens[first-1].Type == hclsyntax.TokenQuotedLit {
		first--
	}
	if first == len(tokens) {
		return
	}
	at := tokens[first].Range.Start.Byte
	text := string(c.shown[at:tokens[len(tokens)-1].Range.End.Byte])
	start, end, ok := mask.UserIn(text)
	if name, _, typed := strings.Cut(text[start:end], ":"); ok && typed {
		c.hide(at+start+len(name)+1, at+end)
	}
}

// hide puts stars over the bytes from start to end. Lines keep their ends.
func (c *concealer) hide(start, end int) {
	for i := start; i < end; i++ {
		if c.shown[i] != '\n' && c.shown[i] != '\r' {
			c.shown[i] = '*'
		}
	}
}

// lastName is the key that tokens end with, quoted or not; "" when they do not end with one.
func lastName(tokens hclsyntax.Tokens) string {
	n := len(tokens)
	switch {
	case n > 0 && tokens[n-1].Type == hclsyntax.TokenIdent:
		return string(tokens[n-1].Bytes)
	case n > 1 && tokens[n-1].Type == hclsyntax.TokenCQuote:
		return string(tokens[n-2].Bytes)
	}
	return ""
}
