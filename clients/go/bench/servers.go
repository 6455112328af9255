package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// startTime is how long a server may take until it accepts connections.
const startTime = 10 * time.Second

// process is a server in a directory of its own.
type process struct {
	command   *exec.Cmd
	address   string
	directory string
}

func (p *process) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
	_ = os.RemoveAll(p.directory)
}

var listensOn = regexp.MustCompile(`listens on ([^ ]+:\d+)`)

// startIpseity starts the server that IPSEITY_BIN names.
func startIpseity() (*process, error) {
	binary := os.Getenv("IPSEITY_BIN")
	if binary == "" {
		return nil, errors.New("set IPSEITY_BIN to the path of an ipseity that was built with --release")
	}
	directory, err := os.MkdirTemp("", "ipseity-bench-")
	if err != nil {
		return nil, err
	}
	command := exec.Command(binary, "--listen", "127.0.0.1:0", "--pid", "1", "--data-dir", directory+"/state")
	log, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{command: command, directory: directory}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if found := listensOn.FindStringSubmatch(lines.Text()); found != nil {
			started.address = found[1]
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return started, nil
		}
	}
	started.stop()
	return nil, fmt.Errorf("%s did not start", binary)
}

// startRedis starts a Redis that keeps nothing on the disk.
func startRedis() (*process, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "ipseity-bench-")
	if err != nil {
		return nil, err
	}
	command := exec.Command(binary, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no",
		"--dir", directory)
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{command: command, directory: directory, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	for began := time.Now(); time.Since(began) < startTime; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", started.address); err == nil {
			return started, conn.Close()
		}
	}
	started.stop()
	return nil, errors.New("redis-server did not start")
}

// freePort is a port that was free just now. Redis cannot choose one itself.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
