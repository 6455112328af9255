// Command source lets eight goroutines take a million identities from one source, and says what came of it:
//
//	go run ./examples/source 127.0.0.1:3264
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"

	"ipseity"
)

const (
	workers  = 8
	eachTake = 125_000
)

func main() {
	servers := os.Args[1:]
	if len(servers) == 0 {
		servers = []string{"127.0.0.1"}
	}
	source, err := ipseity.NewSource(servers, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()

	var group sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			last := ipseity.ID(0)
			for i := 0; i < eachTake; i++ {
				id, err := source.Next(context.Background())
				if err != nil {
					log.Fatal(err)
				}
				if id <= last {
					log.Fatalf("%v came after %v", id, last)
				}
				last = id
			}
		}()
	}
	group.Wait()
	counters := source.Counters()
	fmt.Printf("%d identities in %d blocks\n", counters.Identities, counters.Refills)
}
