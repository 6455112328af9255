package ipseity;

import java.util.concurrent.atomic.AtomicInteger;

/** How often each hook was called. */
final class HookCounts {
  final AtomicInteger connect = new AtomicInteger();
  final AtomicInteger failover = new AtomicInteger();
  final AtomicInteger refill = new AtomicInteger();

  /** Options with hooks that count. */
  Options on(Options options) {
    return options
        .onConnect(server -> connect.incrementAndGet())
        .onFailover(failure -> failover.incrementAndGet())
        .onRefill(count -> refill.incrementAndGet());
  }
}
