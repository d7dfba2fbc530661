package main

import (
	"net"
	"testing"
)

// A port that the user names must be that one, as others were told of it; a default may be replaced.
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
