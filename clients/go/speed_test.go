package ipseity

import "testing"

// The way of a call that finds an identity: no lock, no network.
func BenchmarkSourceNext(b *testing.B) {
	source := benchSource(b)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, err := source.Next(background); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(source.Counters().Waits), "waits")
}

func BenchmarkSourceNextParallel(b *testing.B) {
	source := benchSource(b)
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Next(background); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(source.Counters().Waits), "waits")
}

func BenchmarkClientNext(b *testing.B) {
	client := newTestClient(b, Options{CallTimeout: patience}, newFake(b, 1, nil).address)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, err := client.Next(background); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSource(b *testing.B) *Source {
	source := newTestSource(b, Options{CallTimeout: patience, ReplyTimeout: patience}, newFake(b, 1, nil).address)
	for source.Counters().Identities < 100_000 {
		must(source.Next(background))(b)
	}
	return source
}
