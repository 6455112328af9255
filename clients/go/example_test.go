package ipseity_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"ipseity"
)

// What README.md shows is here word for word, so it compiles. A test compares the two.

func ExampleClient() {
	client, err := ipseity.NewClient([]string{"id1.example", "id2.example:4000"}, &ipseity.Options{Cluster: "ipseity"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	id, err := client.Next(ctx) // greater than all that this client has seen
	if err != nil {
		log.Fatal(err)
	}
	block, err := client.Block(ctx, 1000) // a thousand with one request
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < block.Len(); i++ {
		fmt.Println(id < block.At(i)) // true
	}
}

func ExampleSource() {
	source, err := ipseity.NewSource([]string{"id1.example", "id2.example"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()

	id, err := source.Next(context.Background()) // nearly always without the network
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id, id.Hex(), id.Pair(), id.Base32()) // 1025 0x401 1:1 0000000000101
}

func ExampleSource_Observe() {
	var source *ipseity.Source
	var message struct{ ID ipseity.ID }

	source.Observe(message.ID) // what comes next is greater
	id, err := source.Next(context.Background())
	fmt.Println(id, err)
}

func ExampleError() {
	var client *ipseity.Client
	ctx := context.Background()

	id, err := client.Next(ctx)
	var unavailable *ipseity.UnavailableError
	var refused *ipseity.RefusedError
	switch {
	case err == nil:
		fmt.Println(id)
	case errors.As(err, &unavailable):
		for _, failure := range unavailable.Failures {
			log.Printf("%s: %v", failure.Server, failure.Cause)
		}
	case errors.As(err, &refused):
		log.Printf("%s refused with %v", refused.Server, refused.Reply.Code)
	case errors.Is(err, context.DeadlineExceeded):
		log.Print(err) // it names the servers too
	}
}

func ExampleLoadTLS() {
	config, err := ipseity.LoadTLS("ca.pem", "alice.pem", "alice.key") // "", "" without a certificate of one's own
	if err != nil {
		log.Fatal(err)
	}
	client, err := ipseity.NewClient([]string{"tls://id1.example"}, &ipseity.Options{TLS: config})
	fmt.Println(client, err)
}

func ExampleOptions() {
	options := &ipseity.Options{
		Cluster:     "ipseity",
		CallTimeout: 500 * time.Millisecond,
		OnFailover:  func(server string, cause error) { log.Printf("%s has failed: %v", server, cause) },
	}
	source, err := ipseity.NewSource([]string{"id1.example", "id2.example"}, options)
	fmt.Println(source, err)
}

func ExampleID_Scan() {
	var db *sql.DB
	var source *ipseity.Source
	ctx := context.Background()

	id, err := source.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	_, err = db.ExecContext(ctx, "INSERT INTO orders (id, item) VALUES ($1, $2)", id, "tea")
	if err != nil {
		log.Fatal(err)
	}
	var newest ipseity.ID
	err = db.QueryRowContext(ctx, "SELECT max(id) FROM orders").Scan(&newest)
	fmt.Println(newest, err)
}

func ExampleID_MarshalJSON() {
	text, err := json.Marshal(map[string]ipseity.ID{"id": 1025})
	fmt.Println(string(text), err)
	// Output: {"id":"1025"} <nil>
}
