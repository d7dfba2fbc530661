package store

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotFound says that there is nothing by this name.
	ErrNotFound = errors.New("not found")
	// ErrClosed is returned by calls on a store that was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrReadOnly is returned by writes to a store that was opened to be read.
	ErrReadOnly = errors.New("the store is open for reading only")
	// ErrDamaged is wrapped by errors about bytes that are not what was written: a checksum that does not hold, a
	// page that can't be read.
	ErrDamaged = errors.New("damaged")
	// ErrNoTape is wrapped by errors about a file that is no tape, and, as far as can be seen, never was one.
	ErrNoTape = errors.New("no tape of hooktape")
	// ErrFull is returned by Append while the tape is far beyond its size and holds nothing that may be evicted.
	ErrFull = errors.New("the tape is full of pending deliveries and requests under way")
	// ErrDiskFull is returned by Append, and when large bodies are written, from the moment when a commit finds the disk
	// full until there is room again.
	ErrDiskFull = errors.New("the disk is full")
	// ErrGone is returned by Append while the file of the tape is not at its path any more: what is written into it would be
	// lost with it.
	ErrGone = errors.New("the file of the tape was moved or removed")
	// ErrJudged is wrapped by the error of Rejudge when the record has been judged again meanwhile.
	ErrJudged = errors.New("it was judged meanwhile")
	// ErrName is wrapped by errors about names that can't be given.
	ErrName = errors.New("not a name")
	// ErrExists is wrapped by errors about names that are taken.
	ErrExists = errors.New("there is one by this name")
	// ErrNotCapturing is wrapped by the error of StopSession when the session does not capture.
	ErrNotCapturing = errors.New("it is not capturing")
	// ErrSessionsFull is returned when the records of all sessions take the half of Retention.MaxSize that they may.
	ErrSessionsFull = errors.New("the records of sessions take half of the tape: delete a session, or raise max_size")
	// ErrTooLarge is wrapped by errors about a change that no transaction can take.
	ErrTooLarge = errors.New("too large")
)

// LockedError says that another process has the database open.
type LockedError struct {
	PID     int    // 0: not known
	Command string // the holder's command line; "": not known
}

func (e *LockedError) Error() string {
	switch {
	case e.PID == 0:
		return "it is in use by another process"
	case e.Command == "":
		return fmt.Sprintf("it is in use by process %d", e.PID)
	}
	return fmt.Sprintf("it is in use by process %d (%s)", e.PID, e.Command)
}

// lockedError names whoever holds the lock on path, if it is known.
func lockedError(path string) *LockedError {
	pid, command := lockHolder(path)
	return &LockedError{PID: pid, Command: command}
}

// NewerError says that a later hooktape wrote the database, in a format that this one does not know.
type NewerError struct {
	Format, Know int
	PageSize     int64 // in bytes, where it is the size of its pages that is not known; else 0
}

func (e *NewerError) Error() string {
	if e.PageSize > 0 {
		return fmt.Sprintf("it has pages of %d bytes, which this hooktape does not know: use a newer hooktape", e.PageSize)
	}
	return fmt.Sprintf("it has format %d, this hooktape knows formats up to %d: use a newer hooktape", e.Format, e.Know)
}

// OlderError says that an earlier hooktape wrote the database, in a format that must be brought up to date before it can
// be read, which opening it read-only can't do.
type OlderError struct {
	Format, Need int
}

func (e *OlderError) Error() string {
	return fmt.Sprintf("it has format %d, which an earlier hooktape wrote, and is migrated to format %d when it is opened for writing",
		e.Format, e.Need)
}

// AmbiguousError says that several records have ids with this ending.
type AmbiguousError struct {
	Ending string
	IDs    []ID // the newest of them, newest first
}

func (e *AmbiguousError) Error() string {
	ids := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		ids[i] = id.String()
	}
	return fmt.Sprintf("%q is the ending of several records: %s", e.Ending, strings.Join(ids, ", "))
}
