package ipseity;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** What all connections of a client share: what it has seen, and what it has counted. */
final class Tally {
  /** The newest identity that came or was observed; 0 for none. */
  private final AtomicLong newest = new AtomicLong();

  final LongAdder requests = new LongAdder();
  final LongAdder identities = new LongAdder();
  final LongAdder connects = new LongAdder();
  final LongAdder failures = new LongAdder();

  /** The newest identity that was seen; 0 for none. */
  long newest() {
    return newest.get();
  }

  /** An identity was seen. */
  void see(long identity) {
    if (identity > newest.get()) {
      newest.accumulateAndGet(identity, Math::max);
    }
  }
}
