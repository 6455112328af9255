//go:build unix

package ipseity

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests with real servers send signals that only Unix has.

// serverBinary is the real server: IPSEITY_BIN, or what was built in this repository.
func serverBinary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("IPSEITY_BIN"); path != "" {
		return path
	}
	path, err := filepath.Abs("../../target/debug/ipseity")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skip("there is no server: set IPSEITY_BIN to the path of ipseity, or build it with cargo build")
	}
	return path
}

// real is a server in a process of its own.
type real struct {
	t       testing.TB
	binary  string
	flags   []string
	process *exec.Cmd
	// Where it listens. It is the same after a restart.
	address string
}

var listensOn = regexp.MustCompile(`listens on ([^ ]+):(\d+)`)

func startReal(t testing.TB, pid int, flags ...string) *real {
	t.Helper()
	r := &real{t: t, binary: serverBinary(t), address: "127.0.0.1:0"}
	r.flags = append([]string{"--pid", strconv.Itoa(pid), "--data-dir", filepath.Join(t.TempDir(), "state")}, flags...)
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *real) start() {
	r.t.Helper()
	r.process = exec.Command(r.binary, append([]string{"--listen", r.address}, r.flags...)...)
	log, err := r.process.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.process.Stdout = r.process.Stderr
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	var said []string
	for lines.Scan() {
		if found := listensOn.FindStringSubmatch(lines.Text()); found != nil {
			r.address = found[1] + ":" + found[2]
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
		said = append(said, lines.Text())
	}
	r.t.Fatalf("the server did not start: %s", strings.Join(said, "\n"))
}

func (r *real) signal(signal syscall.Signal) {
	_ = r.process.Process.Signal(signal)
}

// kill ends the process at once, and waits for that.
func (r *real) kill() {
	r.signal(syscall.SIGKILL)
	_ = r.process.Wait()
}

func TestARealServerAnswers(t *testing.T) {
	t.Parallel()
	server := startReal(t, 3, "--max-count", "50")
	client := newTestClient(t, Options{Cluster: "ipseity", CallTimeout: patience, ReplyTimeout: patience}, server.address)
	first := must(client.Next(background))(t)
	if first.PID() != 3 {
		t.Fatal(first.Pair())
	}
	block := must(client.Block(background, 50))(t)
	if block.First() <= first || block.Len() != 50 {
		t.Fatal(block)
	}
	_, err := client.Block(background, 51)
	if as[*RefusedError](t, err).Reply.Code != CodeBadCount {
		t.Fatal(err)
	}
	client.Observe(block.Last() + 1000*1024)
	if id := must(client.Next(background))(t); id <= block.Last()+1000*1024 {
		t.Fatal(id)
	}
	client.Observe(IDMax)
	_, err = client.Next(background)
	as[Error](t, err)

	source := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	last := ID(0)
	for i := 0; i < 5000; i++ {
		id := must(source.Next(background))(t)
		if id <= last {
			t.Fatal(id, last)
		}
		last = id
	}
	foreign := newTestClient(t, Options{Cluster: "other", CallTimeout: patience, ReplyTimeout: patience}, server.address)
	_, err = foreign.Next(background)
	as[*WrongClusterError](t, err)
}

func TestARealServerSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := certificateDir(t)
	server := startReal(t, 1, "--tls-cert", filepath.Join(dir, "good.pem"), "--tls-key", filepath.Join(dir, "good.key"),
		"--plain", "never")
	options := Options{TLS: tlsOptions(t, ""), Cluster: "ipseity", CallTimeout: patience, ConnectTimeout: patience, ReplyTimeout: patience}
	client := newTestClient(t, options, "tls://"+server.address)
	must(client.Next(background))(t)
	must(client.Block(background, 1000))(t)
	plain := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	_, err := plain.Next(background)
	if as[*ErrorReply](t, err).Code != CodeTLSRequired {
		t.Fatal(err)
	}
	_ = client.Close()
}

// Servers are killed and frozen while goroutines take identities, by clients and by a source. No identity may come twice,
// and each goroutine's must increase.
func TestUniqueAndInOrderWhileServersDieAndFreeze(t *testing.T) {
	t.Parallel()
	servers := []*real{startReal(t, 1), startReal(t, 2), startReal(t, 3)}
	var addresses []string
	for _, server := range servers {
		addresses = append(addresses, server.address)
	}
	options := Options{
		ReplyTimeout: 300 * time.Millisecond, CallTimeout: patience, BlockMax: 256, BlockAgeMax: 20 * time.Millisecond,
	}
	source := newTestSource(t, options, addresses...)
	clients := []interface {
		Next(context.Context) (ID, error)
	}{source, source, source, newTestClient(t, options, addresses...), newTestClient(t, options, addresses...)}
	shared := clients[4]
	clients = append(clients, shared, shared)

	stop := make(chan struct{})
	seen := make([][]ID, len(clients))
	var group sync.WaitGroup
	for worker, client := range clients {
		worker, client := worker, client
		group.Add(1)
		go func() {
			defer group.Done()
			last := ID(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				id, err := client.Next(background)
				var unavailable *UnavailableError
				if errors.As(err, &unavailable) {
					continue
				}
				if err != nil || id <= last {
					t.Errorf("worker %d: %v after %v: %v", worker, id, last, err)
					return
				}
				last = id
				if len(seen[worker]) < 1_000_000 {
					seen[worker] = append(seen[worker], id)
				}
			}
		}()
	}
	progress := func() int64 { return source.Counters().Identities + shared.(*Client).Counters().Identities }
	goesOn := func(what string) {
		before := progress()
		eventually(t, what, func() bool { return progress() > before+100 })
	}
	goesOn("all three are up")
	for round := 0; round < 2; round++ {
		for _, server := range servers {
			server.kill()
			goesOn("one is dead")
			server.start()
			server.signal(syscall.SIGSTOP)
			goesOn("one is frozen")
			server.signal(syscall.SIGCONT)
			goesOn("all three are up")
		}
	}
	close(stop)
	group.Wait()
	all := make(map[ID]int)
	for worker, ids := range seen {
		for _, id := range ids {
			if other, twice := all[id]; twice {
				t.Fatalf("%v came to worker %d and to worker %d", id, other, worker)
			}
			all[id] = worker
		}
	}
	t.Logf("%d identities, %+v", len(all), source.Counters())
}

func TestAServerThatStopsIsLeftWithoutAnError(t *testing.T) {
	t.Parallel()
	first, second := startReal(t, 1), startReal(t, 2)
	options := Options{CallTimeout: patience, ReplyTimeout: patience}
	client := newTestClient(t, options, first.address, second.address)
	if id := must(client.Next(background))(t); id.PID() != 1 {
		t.Fatal(id.Pair())
	}
	first.signal(syscall.SIGTERM)
	_ = first.process.Wait()
	if id := must(client.Next(background))(t); id.PID() != 2 || id.Sequence() < 2 {
		t.Fatal(id.Pair())
	}
}
