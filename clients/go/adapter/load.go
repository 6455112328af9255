package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// portionPause is how long a worker sleeps after each portion, so that the files do not fill the disk.
const portionPause = 10 * time.Millisecond

// load is a number of workers, each of which calls next again and again.
type load struct {
	cancel  context.CancelFunc
	working sync.WaitGroup
	mu      sync.Mutex
	// What the workers have counted, once they have ended.
	identities int64
	errors     map[string]int64
	longest    time.Duration
	failed     error
}

func startLoad(from taker, workers int, path string, portion int) (*load, error) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, errors: make(map[string]int64)}
	for worker := 0; worker < workers; worker++ {
		file, err := os.Create(fmt.Sprintf("%s.%d", path, worker))
		if err != nil {
			cancel()
			l.working.Wait()
			return nil, err
		}
		l.working.Add(1)
		go func() {
			defer l.working.Done()
			l.work(ctx, from, file, portion)
		}()
	}
	return l, nil
}

func (l *load) work(ctx context.Context, from taker, file *os.File, portion int) {
	identities, longest := int64(0), time.Duration(0)
	errors := make(map[string]int64)
	out := bufio.NewWriter(file)
	var line []byte
	var failed error
	for calls := 1; ctx.Err() == nil && failed == nil; calls++ {
		began := time.Now()
		id, err := from.Next(ctx)
		longest = max(longest, time.Since(began))
		if err != nil {
			if ctx.Err() == nil {
				errors[classOf(err)]++
			}
		} else {
			identities++
			line = append(strconv.AppendInt(line[:0], int64(id), 10), '\n')
			_, failed = out.Write(line)
		}
		if portion > 0 && calls%portion == 0 && failed == nil {
			failed = out.Flush()
			time.Sleep(portionPause)
		}
	}
	if err := out.Flush(); failed == nil {
		failed = err
	}
	if err := file.Close(); failed == nil {
		failed = err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.identities += identities
	l.longest = max(l.longest, longest)
	for class, count := range errors {
		l.errors[class] += count
	}
	if failed != nil {
		l.failed = failed
	}
}

// stop ends the workers and waits for them.
func (l *load) stop() (any, error) {
	l.cancel()
	l.working.Wait()
	if l.failed != nil {
		return nil, l.failed
	}
	return fields{"identities": l.identities, "errors": l.errors, "longest_ms": l.longest.Milliseconds()}, nil
}
