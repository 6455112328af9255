// An actor in Go behind gRPC, for comparison: one goroutine owns the counter, and calls dispatch their events to it
// through a channel of 1,024. The program is also the client, which counts the answers and checks that the
// identities of each client increase.
//
//	main serve ADDRESS
//	main unary|stream ADDRESS CLIENTS IN_FLIGHT DURATION
//
// The messages are the wrapper types that come with protobuf, so no code has to be generated. A request is a count,
// and a reply is an identity.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/golang/protobuf/ptypes/wrappers"
	"google.golang.org/grpc"
)

type event struct {
	count uint32
	reply chan uint64
}

type actor struct {
	mailbox chan event
}

func (a *actor) run() {
	var sequence uint64
	for e := range a.mailbox {
		first := sequence + 1
		sequence += uint64(e.count)
		e.reply <- first << 10
	}
}

func (a *actor) next(count uint32, reply chan uint64) uint64 {
	a.mailbox <- event{count, reply}
	return <-reply
}

func unary(server interface{}, ctx context.Context, decode func(interface{}) error,
	_ grpc.UnaryServerInterceptor) (interface{}, error) {
	request := new(wrappers.UInt32Value)
	if err := decode(request); err != nil {
		return nil, err
	}
	first := server.(*actor).next(request.Value, make(chan uint64, 1))
	return &wrappers.UInt64Value{Value: first}, nil
}

func stream(server interface{}, stream grpc.ServerStream) error {
	reply := make(chan uint64, 1)
	for {
		request := new(wrappers.UInt32Value)
		if err := stream.RecvMsg(request); err != nil {
			return nil
		}
		first := server.(*actor).next(request.Value, reply)
		if err := stream.SendMsg(&wrappers.UInt64Value{Value: first}); err != nil {
			return err
		}
	}
}

var streamDescription = grpc.StreamDesc{
	StreamName: "Stream", Handler: stream, ServerStreams: true, ClientStreams: true,
}

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	check(err)
	a := &actor{make(chan event, 1024)}
	go a.run()
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "Identity",
		HandlerType: (*interface{})(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Next", Handler: unary}},
		Streams:     []grpc.StreamDesc{streamDescription},
	}, a)
	fmt.Fprintf(os.Stderr, "grpc listens on %s\n", listener.Addr())
	check(server.Serve(listener))
}

// A client on its own connection. Returns how many answers it got before the end.
func client(mode string, connection *grpc.ClientConn, inFlight int, end time.Time) uint64 {
	request := &wrappers.UInt32Value{Value: 1}
	var answers, newest uint64
	take := func(reply *wrappers.UInt64Value) {
		if reply.Value <= newest {
			log.Fatalf("%d came after %d", reply.Value, newest)
		}
		newest = reply.Value
		answers++
	}
	if mode == "unary" {
		for time.Now().Before(end) {
			reply := new(wrappers.UInt64Value)
			check(connection.Invoke(context.Background(), "/Identity/Next", request, reply))
			take(reply)
		}
		return answers
	}
	stream, err := connection.NewStream(context.Background(), &streamDescription, "/Identity/Stream")
	check(err)
	for i := 0; i < inFlight; i++ {
		check(stream.SendMsg(request))
	}
	for time.Now().Before(end) {
		reply := new(wrappers.UInt64Value)
		check(stream.RecvMsg(reply))
		take(reply)
		check(stream.SendMsg(request))
	}
	return answers
}

func load(mode, address string, clients, inFlight int, duration time.Duration) {
	var all sync.WaitGroup
	answers := make([]uint64, clients)
	connections := make([]*grpc.ClientConn, clients)
	for i := range connections {
		connection, err := grpc.Dial(address, grpc.WithInsecure(), grpc.WithBlock())
		check(err)
		connections[i] = connection
	}
	start := time.Now()
	for i := range answers {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			answers[i] = client(mode, connections[i], inFlight, start.Add(duration))
		}(i)
	}
	all.Wait()
	var sum uint64
	for _, count := range answers {
		sum += count
	}
	fmt.Printf("%.0f\n", float64(sum)/time.Since(start).Seconds())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 2 && arguments[0] == "serve" {
		serve(arguments[1])
		return
	}
	if len(arguments) != 5 || (arguments[0] != "unary" && arguments[0] != "stream") {
		log.Fatal("main serve ADDRESS, or main unary|stream ADDRESS CLIENTS IN_FLIGHT DURATION")
	}
	clients, err := strconv.Atoi(arguments[2])
	check(err)
	inFlight, err := strconv.Atoi(arguments[3])
	check(err)
	duration, err := time.ParseDuration(arguments[4])
	check(err)
	load(arguments[0], arguments[1], clients, inFlight, duration)
}
