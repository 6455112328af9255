// Command bench compares the client with what one would use instead in Go, in one run and on one machine: a Snowflake
// library, UUIDv7, ULID, and INCR of Redis by its usual client. It starts the servers itself, on free ports of 127.0.0.1.
//
//	IPSEITY_BIN=../../../target/release/ipseity go run .
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/snowflake"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"

	"ipseity"
)

const (
	// runs is how often each row is measured. The best counts, because others use the machine too.
	runs = 3
	// runTime is how long each run lasts.
	runTime = time.Second
	// workersMany is the number of goroutines of the second column.
	workersMany = 8
	// blockCount is how many identities one request brings, the most that a server gives unless told otherwise.
	blockCount = 1000
	// checkEvery is how many calls a worker makes before it looks at the clock's verdict. A call may take nanoseconds.
	checkEvery = 64
)

// row is one way to get identities.
type row struct {
	name string
	// How many identities a call brings.
	each int64
	next func() error
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx := context.Background()
	server, err := startIpseity()
	if err != nil {
		return err
	}
	defer server.stop()
	client, err := ipseity.NewClient([]string{server.address}, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	source, err := ipseity.NewSource([]string{server.address}, nil)
	if err != nil {
		return err
	}
	defer source.Close()
	node, err := snowflake.NewNode(1)
	if err != nil {
		return err
	}
	rows := []row{
		{"ipseity `Source.Next`", 1, func() error { _, err := source.Next(ctx); return err }},
		{"ipseity `Client.Block(1000)`", blockCount, func() error { _, err := client.Block(ctx, blockCount); return err }},
		{"ipseity `Client.Next`", 1, func() error { _, err := client.Next(ctx); return err }},
		{"Snowflake (`bwmarrin/snowflake`)", 1, func() error { node.Generate(); return nil }},
		{"UUIDv7 (`google/uuid`)", 1, func() error { _, err := uuid.NewV7(); return err }},
		{"ULID (`oklog/ulid`, monotonic)", 1, func() error { ulid.Make(); return nil }},
	}
	if store, err := startRedis(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: without Redis: %v\n", err)
	} else {
		defer store.stop()
		counter := redis.NewClient(&redis.Options{Addr: store.address})
		defer counter.Close()
		rows = append(rows, row{"Redis `INCR` (`redis/go-redis`)", 1, func() error { return counter.Incr(ctx, "id").Err() }})
	}
	return table(rows)
}

// table measures every row, and prints how they compare with Source.Next.
func table(rows []row) error {
	fmt.Printf("| identities a second | 1 goroutine | %d goroutines | 1, to `Source` | %d, to `Source` |\n", workersMany, workersMany)
	fmt.Println("| --- | ---: | ---: | ---: | ---: |")
	var first [2]float64
	for place, row := range rows {
		var rates [2]float64
		for column, workers := range []int{1, workersMany} {
			rate, err := best(row, workers)
			if err != nil {
				return fmt.Errorf("%s: %w", row.name, err)
			}
			rates[column] = rate
		}
		if place == 0 {
			first = rates
		}
		fmt.Printf("| %s | %.0f | %.0f | %.4f | %.4f |\n", row.name, rates[0], rates[1], rates[0]/first[0], rates[1]/first[1])
	}
	return nil
}

func best(row row, workers int) (float64, error) {
	most := 0.0
	for i := 0; i < runs; i++ {
		rate, err := measure(row, workers)
		if err != nil {
			return 0, err
		}
		most = max(most, rate)
	}
	return most, nil
}

// measure is how many identities a second all workers together get.
func measure(row row, workers int) (float64, error) {
	var isOver atomic.Bool
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	began := time.Now()
	for worker := 0; worker < workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			own := int64(0)
			for !isOver.Load() {
				for i := 0; i < checkEvery; i++ {
					if err := row.next(); err != nil {
						failed.Store(&err)
						return
					}
				}
				own += checkEvery
			}
			calls.Add(own)
		}()
	}
	time.Sleep(runTime)
	isOver.Store(true)
	group.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()*row.each) / took.Seconds(), nil
}
