package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;

/** Thousands of virtual threads on one client and one source, some of which are interrupted. */
@EnabledForJreRange(min = JRE.JAVA_21, disabledReason = "this Java has no virtual threads")
class VirtualThreadTest {
  private static final int THREADS = 3000;

  /** They came with Java 21, and this is compiled for 17. */
  private static ExecutorService virtualThreads() throws ReflectiveOperationException {
    return (ExecutorService)
        Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
  }

  @Test
  void they_share_a_client_and_a_source() throws Exception {
    try (Scripted server = Scripted.serving(1);
        Client client = Client.open(List.of(server.address()), patient());
        Source source = Source.open(List.of(server.address()), patient())) {
      check(client::next);
      check(source::next);
      assertEquals(2, server.connections());
    }
  }

  private static Options patient() {
    Duration time = Duration.ofSeconds(20);
    return new Options().connectTimeout(time).replyTimeout(time).callTimeout(time);
  }

  private static void check(Callable<Long> next) throws Exception {
    ExecutorService executor = virtualThreads();
    AtomicInteger interrupted = new AtomicInteger();
    List<Future<Long>> calls = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      calls.add(executor.submit(next));
      if (i % 10 == 0) {
        Future<Long> cancelled =
            executor.submit(
                () -> {
                  try {
                    return next.call();
                  } catch (InterruptedException e) {
                    interrupted.incrementAndGet();
                    throw e;
                  }
                });
        cancelled.cancel(true);
      }
    }
    Set<Long> all = new HashSet<>();
    for (Future<Long> call : calls) {
      all.add(get(call));
    }
    assertEquals(THREADS, all.size());
    executor.shutdown();
    assertTrue(interrupted.get() <= THREADS / 10);
  }

  private static long get(Future<Long> call) throws InterruptedException {
    try {
      return call.get();
    } catch (ExecutionException e) {
      throw new AssertionError("a call failed", e.getCause());
    }
  }
}
