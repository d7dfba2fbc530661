package main

import (
	"net/url"
	"testing"
)

func TestARewrittenPathIsThatOfTheURLThatStandsForTheTarget(t *testing.T) {
	for _, tt := range []struct{ made, of, to, want string }{
		{"", "http://app/api", "http://second/v2", ""}, // the path is not rewritten
		{"/api/import?day=1", "http://app/api", "http://second", "/api/import?day=1"},
		{"/api/import?day=1", "http://app/api", "http://second/v2", "/v2/import?day=1"},
		{"/api/import?to=/x", "http://app/api/", "http://second/v2/", "/v2/import?to=/x"},
		{"/api", "http://app/api", "http://second/v2", "/v2"},
		{"/import", "http://app", "http://second/v2", "/v2/import"},
		{"/import", "http://app/api", "http://second/v2", "/import"},
		{"/apis", "http://app/api", "http://second/v2", "/apis"},
		{"/api/../x", "http://app/api", "http://second/v2", "/api/../x"},
		{"/api/a%20b", "http://app/api", "http://second/v%202", "/v%202/a%20b"},
	} {
		one, err := url.Parse(tt.of)
		if err != nil {
			t.Fatal(err)
		}
		another, err := url.Parse(tt.to)
		if err != nil {
			t.Fatal(err)
		}
		if got := rebased(tt.made, one, another); got != tt.want {
			t.Errorf("%s, made for %s, is %s for %s, want %s", tt.made, one, got, another, tt.want)
		}
	}
}
