package wire

import (
	"errors"
	"io"
	"net"
	"os"
)

// reason says in words why a request got no response, or not all of it: "unexpected EOF" tells those who wait for one
// nothing, and they know the addresses that the system's errors name.
func reason(phase Phase, err error) string {
	_, lost := err.(*lostError)
	switch {
	case lost: // says more than that in the end a time limit struck
		return err.Error()
	case isTimeout(err):
		return inTime[phase]
	case err == io.ErrUnexpectedEOF && phase == PhaseRead:
		return "the connection was closed before its end"
	case err == io.ErrUnexpectedEOF:
		return "the connection was closed without one"
	}
	return plain(err)
}

// inTime are the reasons where a time limit struck.
var inTime = map[Phase]string{
	PhaseDial:  "nobody took the connection in time",
	PhaseTLS:   "it was not complete in time",
	PhaseWrite: "the request was not taken in time",
	PhaseWait:  "none came in time",
	PhaseRead:  "it was not complete in time",
}

// plain is an error without the connection and the call that it names.
func plain(err error) string {
	if lost, ok := errors.AsType[*cutError](err); ok {
		return lost.Error()
	}
	if of, ok := errors.AsType[*net.OpError](err); ok {
		err = of.Err
	}
	if of, ok := errors.AsType[*os.SyscallError](err); ok {
		err = of.Err
	}
	return err.Error()
}
