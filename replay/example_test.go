package replay_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hooktape/hooktape/replay"
)

// The app is played what was recorded, and must answer as it did: one subtest for each request. In a test, t is its
// *testing.T, and Update comes from a flag of the test.
func ExamplePlay() {
	app := http.NewServeMux()
	states := []string{"packed", "sent"}
	app.HandleFunc("GET /orders/7", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"state": %q, "id": 7}`, states[0])
		states = states[1:]
	})
	app.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id": 9}`)
	})

	rules := new(replay.Rules) // what need not be the same
	if err := rules.Ignore("json.at"); err != nil {
		log.Fatal(err)
	}
	t := &printed{} // *testing.T, in a test
	replay.Play(t, "testdata/orders.warc", replay.PlayOptions{Handler: app, Rules: rules})
	// Output:
	// GET /orders/7: ok
	// GET /orders/7: ok
	// POST /orders: POST /orders, recorded as 01KJV8D9KR0000000000000ABE, got another response:
	//   json.id: recorded 8, now 9
}

// A client under test gets what the other side said when it was recorded: no network, the same bytes each time.
func ExampleMock_RoundTrip() {
	tape, err := replay.OpenTape("testdata/orders.warc")
	if err != nil {
		log.Fatal(err)
	}
	defer tape.Close()
	mock, err := replay.NewMock(tape, replay.MockOptions{})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: mock}
	for range 3 { // recorded twice: the last response is given again
		response, err := client.Get("https://api.example.com/orders/7")
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body))
	}
	_, err = client.Post("https://api.example.com/orders", "application/json", strings.NewReader(`{"tea": "black", "n": 2}`))
	miss, _ := errors.AsType[*replay.Miss](err)
	fmt.Print(miss)
	// Output:
	// 200 {"id":7,"state":"packed"}
	// 200 {"id":7,"state":"sent"}
	// 200 {"id":7,"state":"sent"}
	// no recording answers POST /orders
	// the nearest of 3:
	//   01KJV8D9KR0000000000000ABE  POST /orders
	//     json.tea: recorded "green", now "black"
	//   01KJV8D9KR0000000000000ABC  GET /orders/7
	//     method: recorded GET, now POST
	//     path: recorded /orders/7, now /orders
	//     body: recorded nothing, now {"tea": "black", "n": 2}
}

// An httptest.Server answers from a tape, for an app that takes the URL of the API that it calls.
func ExampleMock_ServeHTTP() {
	tape, err := replay.OpenTape("testdata/orders.warc")
	if err != nil {
		log.Fatal(err)
	}
	defer tape.Close()
	mock, err := replay.NewMock(tape, replay.MockOptions{Match: []string{"method", "path", "json.n"}})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(mock)
	defer server.Close()
	response, err := http.Post(server.URL+"/orders", "application/json", strings.NewReader(`{"tea": "black", "n": 2}`))
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body))
	// Output: 201 {"id":8}
}
