package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// metrikaAPI is the part of Yandex.Metrica's API that takes offline conversions, as its document has it: a CSV file in a
// multipart form, with an OAuth token that belongs to the counter.
type metrikaAPI struct {
	*httptest.Server
	tokens map[string]string // by counter

	mu      sync.Mutex // guards what follows
	broken  int        // so many uploads are answered 503
	uploads []upload
	outcome string // the status of every upload; "": it is worked on
}

type upload struct {
	counter, comment string
	rows             [][]string
	fields           http.Header
}

func newMetrikaAPI(t *testing.T, tokens map[string]string) *metrikaAPI {
	api := &metrikaAPI{tokens: tokens}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /management/v1/counter/{counter}/offline_conversions/upload", api.upload)
	mux.HandleFunc("GET /management/v1/counter/{counter}/offline_conversions/uploading/{id}", api.uploading)
	api.Server = httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return api
}

// refuse answers as the API does to what it does not take.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"error_type":"x","message":%q}],"code":%d,"message":%[1]q}`, why, status)
}

// allowed says whether a call has the token of its counter.
func (api *metrikaAPI) allowed(w http.ResponseWriter, r *http.Request) bool {
	token := api.tokens[r.PathValue("counter")]
	if token == "" || r.Header.Get("Authorization") != "OAuth "+token {
		refuse(w, http.StatusForbidden, "Access is denied")
		return false
	}
	return true
}

// tell answers with what is known of an upload.
func (api *metrikaAPI) tell(w http.ResponseWriter, id, lines int, status string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"uploading":{"id":%d,"create_time":"2025-07-01T12:35:10+03:00","source_quantity":%d,"line_quantity":%[2]d,"client_id_type":"CLIENT_ID","status":%q}}`,
		id, lines, status)
}

// uploading tells how far an upload is.
func (api *metrikaAPI) uploading(w http.ResponseWriter, r *http.Request) {
	api.mu.Lock()
	defer api.mu.Unlock()
	if !api.allowed(w, r) {
		return
	}
	for i, u := range api.uploads {
		if id := firstUpload + i; u.counter == r.PathValue("counter") && fmt.Sprint(id) == r.PathValue("id") {
			api.tell(w, id, len(u.rows)-1, cmp.Or(api.outcome, "EXPORTED"))
			return
		}
	}
	refuse(w, http.StatusNotFound, "Entity not found")
}

// firstUpload is the id of the first upload.
const firstUpload = 987654

func (api *metrikaAPI) upload(w http.ResponseWriter, r *http.Request) {
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.broken > 0 {
		api.broken--
		refuse(w, http.StatusServiceUnavailable, "Backend error")
		return
	}
	if !api.allowed(w, r) {
		return
	}
	file, header, err := r.FormFile("file")
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) < 2 || header.Header.Get("Content-Type") != "text/csv" {
		refuse(w, http.StatusBadRequest, fmt.Sprint("no CSV file: ", err))
		return
	}
	api.uploads = append(api.uploads, upload{r.PathValue("counter"), r.FormValue("comment"), rows, r.Header})
	api.tell(w, firstUpload+len(api.uploads)-1, len(rows)-1, "UPLOADED")
}

// finish ends the work on all uploads.
func (api *metrikaAPI) finish(outcome string) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.outcome = outcome
}

func (api *metrikaAPI) breakDown(times int) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.broken = times
}

func (api *metrikaAPI) got() []upload {
	api.mu.Lock()
	defer api.mu.Unlock()
	return slices.Clone(api.uploads)
}
