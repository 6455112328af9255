package ipseity;

import java.util.OptionalLong;

/** A client or a source, and what both can do. A client can take blocks too. */
record Taker(Client client, Source source, HookCounts hooks) implements AutoCloseable {
  long next() throws InterruptedException {
    return client != null ? client.next() : source.next();
  }

  void observe(long identity) {
    if (client != null) {
      client.observe(identity);
    } else {
      source.observe(identity);
    }
  }

  OptionalLong newest() {
    return client != null ? client.newest() : source.newest();
  }

  Counters counters() {
    return client != null ? client.counters() : source.counters();
  }

  @Override
  public void close() {
    if (client != null) {
      client.close();
    } else {
      source.close();
    }
  }
}
