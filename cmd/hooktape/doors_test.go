package main

import (
	"net"
	"testing"
)

// Who names a port has given it to somebody; a default is nobody's.
func TestOnlyAPortThatNobodyAskedForIsPassedOver(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct{ moveOn, asked, moves bool }{
		{moveOn: true, moves: true}, {moveOn: true, asked: true}, {moveOn: false}, {asked: true},
	} {
		s := &service{moveOn: test.moveOn}
		l, err := s.listen(taken.Addr().String(), test.asked)
		if err == nil {
			l.Close()
		}
		if moves := err == nil; moves != test.moves {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
