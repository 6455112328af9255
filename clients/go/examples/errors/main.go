// Command errors shows what each error means to a program:
//
//	go run ./examples/errors 127.0.0.1:3264
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"ipseity"
)

func main() {
	servers := os.Args[1:]
	if len(servers) == 0 {
		servers = []string{"127.0.0.1"}
	}
	client, err := ipseity.NewClient(servers, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Block(context.Background(), 0)
	fmt.Println(meaning(err))

	// Nobody listens at port 1.
	lost, err := ipseity.NewClient([]string{"127.0.0.1:1"}, &ipseity.Options{CallTimeout: 100 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer lost.Close()
	_, err = lost.Next(context.Background())
	fmt.Println(meaning(err))

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = client.Next(cancelled)
	fmt.Println(meaning(err))

	client.Close()
	_, err = client.Next(context.Background())
	fmt.Println(meaning(err))

	_, err = ipseity.NewClient([]string{"http://127.0.0.1"}, nil)
	fmt.Println(meaning(err))
}

// meaning says what a program can do about an error.
func meaning(err error) string {
	var refused *ipseity.RefusedError
	var unavailable *ipseity.UnavailableError
	var configuration *ipseity.ConfigurationError
	switch {
	case errors.Is(err, ipseity.ErrClosed):
		return "closed: the program has closed the client itself"
	case errors.Is(err, context.Canceled):
		return "cancelled: the caller does not wait any more"
	case errors.As(err, &refused):
		return fmt.Sprintf("refused with %v: correct the request", refused.Reply.Code)
	case errors.As(err, &unavailable):
		return fmt.Sprintf("unavailable: try again later; %d server has failed", len(unavailable.Failures))
	case errors.As(err, &configuration):
		return "configuration: correct the program"
	default:
		return err.Error()
	}
}
