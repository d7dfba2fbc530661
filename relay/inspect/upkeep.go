package inspect

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hooktape/hooktape/store"
)

// Deleted says what was removed from the tape.
type Deleted struct {
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`             // of the records, their answers and responses
	Pending int    `json:"pending"`           // deliveries that will never be made
	Damaged string `json:"damaged,omitempty"` // what could not be deleted, and why
}

// delete removes records from the tape. The question is a list of whole ids as JSON.
func (s *Server) delete(w http.ResponseWriter, r *http.Request) error {
	var ids []store.ID
	if err := json.NewDecoder(r.Body).Decode(&ids); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	told, err := newDeleted(s.Store.Delete(ids...))
	if err != nil {
		return err
	}
	return reply(w, told)
}

// newDeleted reports what was deleted, and what is damaged and could not be. Other errors are returned.
func newDeleted(done store.Deleted, err error) (Deleted, error) {
	told := Deleted{Records: done.Records, Bytes: done.Bytes, Pending: done.Pending}
	if errors.Is(err, store.ErrDamaged) {
		told.Damaged, err = err.Error(), nil
	}
	return told, err
}

// backupPatience is how long a client may take for each part of a backup: pages of the tape can't be reused meanwhile.
const backupPatience = 30 * time.Second

// backup sends the whole database. When it breaks off, so does the answer.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	if err := s.Store.Sync(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if n, err := s.Store.Backup(&patientWriter{w, http.NewResponseController(w)}); err != nil {
		if n == 0 {
			return err
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patientWriter gives every write its own time.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	// In process there is no deadline, and nobody to wait for.
	_ = p.control.SetWriteDeadline(time.Now().Add(backupPatience))
	return p.ResponseWriter.Write(b)
}
