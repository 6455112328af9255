package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Clients and sources before real servers, which are killed and frozen under load. */
class RealServerTest {
  @TempDir Path directory;

  /** How many identities the load must get between two blows, so that each is felt. */
  private static final int BETWEEN_BLOWS = 200;

  /** What one worker took, in its order. */
  private static final class Worker {
    private final List<Long> taken = new ArrayList<>();
    private final Background<Boolean> thread;
    private volatile boolean ended;
    private volatile int count;

    Worker(Taken takes) {
      thread =
          Background.of(
              () -> {
                while (!ended) {
                  try {
                    taken.add(takes.next());
                    count++;
                  } catch (UnavailableException e) {
                    // All servers are down: it asks again.
                  }
                }
                return true;
              });
    }
  }

  private interface Taken {
    long next() throws InterruptedException;
  }

  @Test
  void identities_come_from_a_real_server() throws Exception {
    try (RealServer server = RealServer.start(directory, 7, "--max-count", "50");
        Client client = Client.open(List.of(server.address()), new Options().cluster("ipseity"));
        Source source = Source.open(server.address())) {
      long first = client.next();
      assertEquals(7, Identity.pidOf(first));
      Block block = client.block(50);
      assertTrue(block.first() > first);
      RefusedException e = assertThrows(RefusedException.class, () -> client.block(51));
      assertEquals(ErrorCodes.BAD_COUNT, e.code());
      source.observe(block.last());
      long before = block.last();
      for (int i = 0; i < 5000; i++) {
        long identity = source.next();
        assertTrue(identity > before);
        before = identity;
      }
      client.observe(before);
      assertTrue(client.next() > before);
      try (Client wrong = Client.open(List.of(server.address()), new Options().cluster("other"))) {
        assertThrows(WrongClusterException.class, wrong::next);
      }
    }
  }

  @Test
  void servers_that_die_and_freeze_under_load_cost_no_order_and_no_uniqueness() throws Exception {
    Options options =
        new Options()
            .connectTimeout(Duration.ofMillis(500))
            .replyTimeout(Duration.ofMillis(300))
            .blockMax(64);
    try (RealServer one = RealServer.start(directory, 1);
        RealServer two = RealServer.start(directory, 2);
        RealServer three = RealServer.start(directory, 3)) {
      List<String> servers = List.of(one.address(), two.address(), three.address());
      try (Client client = Client.open(servers, options);
          Source source = Source.open(servers, options)) {
        List<Worker> workers = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          workers.add(new Worker(client::next));
          workers.add(new Worker(source::next));
        }
        more(workers);
        for (RealServer struck : List.of(one, two, three)) {
          struck.kill();
          more(workers);
          struck.restart();
          more(workers);
          struck.freeze();
          more(workers);
          struck.thaw();
          more(workers);
        }
        // All at once: nobody answers, and then all are back.
        for (RealServer struck : List.of(one, two, three)) {
          struck.kill();
        }
        for (RealServer struck : List.of(one, two, three)) {
          struck.restart();
        }
        more(workers);
        Set<Long> all = new HashSet<>();
        for (Worker worker : workers) {
          worker.ended = true;
          assertTrue(worker.thread.get());
          long before = 0;
          for (long identity : worker.taken) {
            assertTrue(identity > before, identity + " came after " + before);
            before = identity;
            assertTrue(all.add(identity), identity + " came twice");
          }
        }
        assertTrue(client.counters().failures() > 0);
        assertTrue(source.counters().failures() > 0);
      }
    }
  }

  /** Waits until each worker has got some more. */
  private static void more(List<Worker> workers) throws InterruptedException {
    for (Worker worker : workers) {
      int enough = worker.count + BETWEEN_BLOWS;
      while (worker.count < enough) {
        Thread.sleep(1);
      }
    }
  }
}
