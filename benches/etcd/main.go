// Clients of etcd that put one key again and again. The reply to a put has a revision, which no other put gets, so etcd
// can hand out increasing numbers in this way. The program counts the replies and checks that the revisions of each client
// increase. Each client has a connection of its own.
//
//	main ADDRESS CLIENTS DURATION
//
// It speaks etcd's own protocol, gRPC. Only the fields that it needs of the messages of etcd are named here, so no code
// has to be generated.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
)

type putRequest struct {
	Key []byte `protobuf:"bytes,1,opt,name=key,proto3"`
}

type header struct {
	Revision int64 `protobuf:"varint,3,opt,name=revision,proto3"`
}

type putResponse struct {
	Header *header `protobuf:"bytes,1,opt,name=header,proto3"`
}

func (m *putRequest) Reset()          { *m = putRequest{} }
func (m *putRequest) String() string  { return proto.CompactTextString(m) }
func (*putRequest) ProtoMessage()     {}
func (m *header) Reset()              { *m = header{} }
func (m *header) String() string      { return proto.CompactTextString(m) }
func (*header) ProtoMessage()         {}
func (m *putResponse) Reset()         { *m = putResponse{} }
func (m *putResponse) String() string { return proto.CompactTextString(m) }
func (*putResponse) ProtoMessage()    {}

// Returns how many replies it got before the end.
func client(connection *grpc.ClientConn, end time.Time) uint64 {
	request := &putRequest{Key: []byte("ids")}
	var replies uint64
	var newest int64
	for time.Now().Before(end) {
		response := new(putResponse)
		check(connection.Invoke(context.Background(), "/etcdserverpb.KV/Put", request, response))
		if response.Header == nil || response.Header.Revision <= newest {
			log.Fatalf("%v came after revision %d", response, newest)
		}
		newest = response.Header.Revision
		replies++
	}
	return replies
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("main ADDRESS CLIENTS DURATION")
	}
	clients, err := strconv.Atoi(os.Args[2])
	check(err)
	duration, err := time.ParseDuration(os.Args[3])
	check(err)
	connections := make([]*grpc.ClientConn, clients)
	for i := range connections {
		connections[i], err = grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
		check(err)
	}
	var all sync.WaitGroup
	replies := make([]uint64, clients)
	start := time.Now()
	for i := range connections {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			replies[i] = client(connections[i], start.Add(duration))
		}(i)
	}
	all.Wait()
	var sum uint64
	for _, count := range replies {
		sum += count
	}
	fmt.Printf("%.0f\n", float64(sum)/time.Since(start).Seconds())
}
