// The program unclosed ends without closing what it has opened, in the middle of a call.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"ipseity"
)

func main() {
	serving, silent := os.Args[1], os.Args[2]
	asked := make(chan struct{})
	for _, server := range []string{serving, silent} {
		options := &ipseity.Options{OnConnect: func(server string) {
			if server == silent {
				asked <- struct{}{}
			}
		}}
		client, err := ipseity.NewClient([]string{server}, options)
		if err != nil {
			log.Fatal(err)
		}
		source, err := ipseity.NewSource([]string{server}, options)
		if err != nil {
			log.Fatal(err)
		}
		for _, next := range []func(context.Context) (ipseity.ID, error){client.Next, source.Next} {
			if server == silent {
				go next(context.Background())
				<-asked
				continue
			}
			id, err := next(context.Background())
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(id)
		}
	}
}
