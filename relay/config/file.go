package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxFile is the most bytes that a config file, or a file read by file(), can have.
const maxFile = 4 << 20

// File is a file that the configuration was read from.
type File struct {
	Path string
	Sum  [32]byte // SHA-256 of its bytes when it was read; zero when it could not be read
}

// readFile reads a file that should be small. The File is valid even when the file could not be read.
func readFile(path string) ([]byte, File, error) {
	file := File{Path: path}
	if abs, err := filepath.Abs(path); err == nil {
		file.Path = abs
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // Open would wait until someone writes to a pipe
		return nil, file, errors.New("it is not a file")
	}
	b, err := readSmall(path)
	if err != nil {
		return nil, file, err
	}
	file.Sum = sha256.Sum256(b)
	return b, file, nil
}

// readSmall reads all there is, up to maxFile.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("it is larger than " + sizeText(maxFile))
	}
	return b, err
}

// sum is what File.Sum would be now.
func sum(path string) [32]byte {
	_, f, _ := readFile(path)
	return f.Sum
}

// surroundings are what is read while a configuration is loaded: by env(), by file(), and where a key names a file.
type surroundings struct {
	dir    string // of the config file: other files are relative to it
	lookup func(string) (string, bool)
	files  []File // read so far
	runs   bool   // the configuration is for an agent that is to run
	listen string // where that agent receives; "": where the file says
}

func (s *surroundings) env(name string) (string, error) {
	value, ok := s.lookup(name)
	switch {
	case !ok:
		return "", fmt.Errorf("environment variable %s is not set", name)
	case value == "":
		return "", fmt.Errorf("environment variable %s is empty: set it, or leave the key out", name)
	}
	return value, nil
}

// beside is the path of a file that is named in the config.
func (s *surroundings) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

// bytes reads the file called *name, and replaces that by its path.
func (s *surroundings) bytes(name *string) ([]byte, error) {
	given := *name
	*name = s.beside(given)
	b, f, err := readFile(*name)
	s.files = append(s.files, f)
	if err != nil {
		return nil, fmt.Errorf("cannot read file %q: %w", given, plainError(err))
	}
	return b, nil
}

// file reads a file's text.
func (s *surroundings) file(name string) (string, error) {
	path := name
	b, err := s.bytes(&path)
	if err != nil {
		return "", err
	}
	return textOfFile(name, b)
}

// ReadSecret reads a file that a flag names: its text without the line ends that editors put at its end. Unlike file()
// in a configuration, it waits for a pipe, so that a shell's <(pass show token) works. The error says what is wrong
// with the file, also that it is empty.
func ReadSecret(path string) (string, error) {
	b, err := readSmall(path)
	if err != nil {
		return "", fmt.Errorf("cannot read file %q: %w", path, plainError(err))
	}
	return textOfFile(path, bytes.TrimRight(b, "\r\n"))
}

func textOfFile(name string, b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", fmt.Errorf("file %q is not text", name)
	}
	text := strings.TrimSuffix(string(b), "\n")
	text = strings.TrimSuffix(text, "\r")
	if text == "" {
		return "", fmt.Errorf("file %q is empty: put the value into it, or leave the key out", name)
	}
	return text, nil
}

// plainError is an error of the file system in words, without the call and the path.
func plainError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("permission denied")
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
