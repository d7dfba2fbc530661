package config

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Load reads a config file; env looks up variables for env(). The error is *Diagnostics when the file could be read but
// is not right.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	return loadFor(path, &surroundings{lookup: env})
}

// LoadToRun is Load for an agent that is to receive at listen, or where the file says if that is "". It refuses targets
// whose requests would come back to their source.
func LoadToRun(path, listen string, env func(string) (string, bool)) (*Config, error) {
	return loadFor(path, &surroundings{lookup: env, runs: true, listen: listen})
}

func loadFor(path string, around *surroundings) (*Config, error) {
	text, file, err := readFile(path)
	if err != nil {
		return nil, &LoadError{Path: path, Err: err, File: file}
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	around.dir, around.files = filepath.Dir(file.Path), []File{file}
	cfg, diags := decode(text, around)
	if diags.HasErrors() {
		return nil, &Diagnostics{Problems: problems(path, text, diags), Files: around.files}
	}
	cfg.Path = path
	cfg.Files = around.files
	if !filepath.IsAbs(cfg.Data) {
		cfg.Data = filepath.Join(filepath.Dir(path), cfg.Data)
	}
	return cfg, nil
}

// LoadError says that there is no config file, or that it cannot be read.
type LoadError struct {
	Path string
	Err  error
	File File // what Watch looks at until it can be read
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("read config %s: %s", e.Path, plainError(e.Err))
}
func (e *LoadError) Unwrap() error { return e.Err }

// decode reads a configuration from its text.
func decode(text []byte, around *surroundings) (*Config, hcl.Diagnostics) {
	body, diags := parse(text)
	if diags.HasErrors() {
		return nil, diags
	}
	d := newDecoder(text, around)
	cfg := Default()
	cfg.Blank = len(body.Attributes) == 0 && len(body.Blocks) == 0
	decodeBody(d, cfg, body, &topSchema)
	d.checkConfig(cfg)
	if around.runs {
		cfg.Listen = cmp.Or(around.listen, cfg.Listen)
		d.checkLoops(cfg)
	}
	return cfg, d.diags
}

// parse reads HCL. Of text that is not HCL only that is said: anything more would be a guess.
func parse(text []byte) (*hclsyntax.Body, hcl.Diagnostics) {
	if bytes.IndexByte(text, 0) >= 0 {
		at := hcl.Range{Start: hcl.InitialPos, End: hcl.InitialPos}
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "the file is not text in UTF-8: save it as such", Subject: &at}}
	}
	file, diags := hclsyntax.ParseConfig(text, "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, first(diags)
	}
	return file.Body.(*hclsyntax.Body), nil
}

// first keeps the first problem of each kind: one unclosed quote makes a problem in every line below.
func first(diags hcl.Diagnostics) hcl.Diagnostics {
	seen := map[string]bool{}
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool {
		again := seen[message(d)] || d.Summary == "Unterminated template string" && seen[syntax["Invalid multi-line string"]]
		seen[message(d)] = true
		return again
	})
}
