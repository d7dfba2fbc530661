package inspect

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// stopGrace is how long an answer under way may take when the agent stops.
const stopGrace = time.Second

// Serve answers on l until ctx ends, then closes l. Tails, and connections through
// tunnels, end with ctx; other answers under way get a moment.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer s.joined.Wait()
	return serve(ctx, l, s.Handler())
}

// ServeHealth answers on l until ctx ends, then closes l: /healthz is 200 as
// long as the process lives, /readyz is 503 with the reason while ready
// returns an error, /metrics is what metrics answers, / says so. Everything else
// is 404; nothing here needs a token.
func ServeHealth(ctx context.Context, l net.Listener, ready func() error, metrics http.Handler) error {
	return serve(ctx, l, Health(ready, metrics))
}

// frontText is what people see who open the inspect address in a browser.
const frontText = `This is the inspect address of hooktape. It does not receive webhooks.

/healthz   the process lives
/readyz    it can record; if not, why
/metrics   figures for Prometheus

What came is on the tape: hooktape list, hooktape show last, hooktape tail.`

// Health is the handler of ServeHealth.
func Health(ready func() error, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, frontText)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // fails when the prober has gone away
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
