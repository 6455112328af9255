// Command next prints a few identities of the servers that it is given:
//
//	go run ./examples/next 127.0.0.1:3264
package main

import (
	"context"
	"fmt"
	"log"
	"os"

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
	defer client.Close()

	ctx := context.Background()
	id, err := client.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v is sequence %d of pid %d, in base32 %s\n", id, id.Sequence(), id.PID(), id.Base32())

	// Three with one request, each greater than all before it.
	block, err := client.Block(ctx, 3)
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < block.Len(); i++ {
		fmt.Println(block.At(i))
	}
}
