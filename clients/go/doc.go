// Package ipseity takes identities from Ipseity servers: unique 64-bit numbers that increase.
//
// There are two ways to take them. A [Client] asks a server for each call:
//
//	client, err := ipseity.NewClient([]string{"id1.example", "id2.example"}, nil)
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	id, err := client.Next(ctx)
//
// What it returns is greater than all that this client had seen when the call began, whichever server answers.
//
// A [Source] keeps a block of identities and takes the next block ahead of need, so most calls take nanoseconds and no
// network:
//
//	source, err := ipseity.NewSource([]string{"id1.example", "id2.example"}, nil)
//
// What it returns increases strictly, over all goroutines that share it. There is no order between two sources, unless a
// program calls [Source.Observe] with what it was sent. What a source holds when the program ends is never used.
//
// # Servers and time
//
// A server is HOST, HOST:PORT or [IPV6]:PORT, with tls:// before it if it is to be spoken to by TLS. Without a port it is
// 3264. The first server that is tried is a random one of the list. Then the client stays with the server that answers. If
// a server fails, the client goes on to the next one, and avoids the one that has failed for a while. A call never takes
// longer than [Options.CallTimeout], whatever the servers do, and ends with its context.
//
// To ask again is always safe: identities of a lost reply are skipped, never repeated.
//
// # Errors
//
// Each error of this package is an [Error], and one of a few types, one for each thing that a caller can do something
// about: [ConfigurationError], [UnavailableError], [RefusedError], [WrongClusterError], [ProtocolError], and [ErrClosed].
// A call whose context has ended returns an error that wraps the context's error.
//
// # Use by several goroutines
//
// Clients, sources and all other types here may be used by all goroutines of a program at once. One connection serves them
// all. Close ends every goroutine that the package has started.
package ipseity
