package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// recordName is what a record is called: short for people, whole in reports.
type recordName struct{ short, whole string }

// called is what the n-th record that is sent is called: by its id. One of a tape file has another id in each run, so it is
// called by the one that it had where it was recorded; where the file tells none, by n.
func (r *replayer) called(rec *inspect.Playable, n int) recordName {
	id := rec.ID
	if r.flags.file != "" {
		var err error
		if id, err = store.ParseID(rec.Origin); err != nil {
			place := "#" + strconv.Itoa(n)
			return recordName{place, place}
		}
	}
	return recordName{ending(id), id.String()}
}

// inFile are the names that records of a tape file have on its tape. Each is given as the record is called, or as last~N.
func (r *replayer) inFile(ctx context.Context, given []string) (names []string, err error) {
	if r.flags.file == "" || len(given) == 0 {
		return given, nil
	}
	found, newer := make([][]store.ID, len(given)), 0
	for rec, err := range r.tape.Records(ctx, inspect.Query{Filter: inspect.Filter{Session: r.filter.Session}, Newest: true}) {
		if err != nil {
			return nil, apiError("replay", err)
		}
		for i, text := range given {
			if isCalled(text, rec.Origin, newer) {
				found[i] = append(found[i], rec.ID)
			}
		}
		newer++
	}
	for i, text := range given {
		switch {
		case len(found[i]) == 1:
			names = append(names, found[i][0].String())
		case len(found[i]) > 1:
			return nil, misused("give more letters of the id", "replay: %d records of %s are called %s", len(found[i]), clean(r.flags.file), clean(text))
		default:
			return nil, &failure{exitNotSo, fmt.Errorf("replay: no record %s", clean(text)), "records of a file are called by the ids that they had where they were recorded, or last, last~1 and so on"}
		}
	}
	return names, nil
}

// isCalled says whether a text names the record of a file that had this id, with so many newer ones in it: by an ending of
// the id, long enough that no other is meant, or by its place from the end.
func isCalled(text, id string, newer int) bool {
	const least = 4 // letters, as everywhere
	if text == "last" && newer == 0 || text == "last~"+strconv.Itoa(newer) {
		return true
	}
	return len(text) >= least && strings.HasSuffix(id, strings.ToUpper(text))
}
