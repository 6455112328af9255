package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
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
import java.util.concurrent.locks.LockSupport;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.io.TempDir;

/** Thousands of virtual threads on one client and one source, some of which are interrupted. */
@EnabledForJreRange(min = JRE.JAVA_21, disabledReason = "this Java has no virtual threads")
class VirtualThreadTest {
  private static final int THREADS = 3000;

  /** How many share a real server, and how many identities each takes. */
  private static final int SHARERS = 1000;

  private static final int EACH = 20;

  /** What pins a virtual thread in every version: it waits while a class begins. */
  private static final class Pinning {
    static {
      LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
    }

    static boolean begin() {
      return true;
    }
  }

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

  @Test
  void a_thousand_share_a_real_server_and_none_is_pinned(@TempDir Path directory) throws Exception {
    try (RealServer server = RealServer.start(directory, 1);
        Client client = Client.open(List.of(server.address()), patient());
        Source source = Source.open(List.of(server.address()), patient());
        Recording recording = new Recording()) {
      // A class that begins may pin, and that is once in the life of a process.
      share(client::next);
      share(source::next);
      recording.enable("jdk.VirtualThreadPinned").withoutThreshold().withStackTrace();
      recording.start();
      Set<Long> all = new HashSet<>();
      for (Callable<Long> next : List.<Callable<Long>>of(client::next, source::next)) {
        all.addAll(share(next));
      }
      assertEquals(2 * SHARERS * EACH, all.size());
      ExecutorService executor = virtualThreads();
      assertTrue(executor.submit(Pinning::begin).get());
      executor.shutdown();
      recording.stop();
      Path file = directory.resolve("pinned.jfr");
      recording.dump(file);
      List<RecordedEvent> pinned = RecordingFile.readAllEvents(file);
      // Otherwise this would find nothing, whatever the library does.
      assertTrue(pinned.stream().anyMatch(event -> isOf(event, PINNING)), "none is seen");
      // The virtual threads of Java itself may be pinned.
      assertEquals(
          List.of(),
          pinned.stream()
              .filter(event -> isOf(event, "ipseity.") && !isOf(event, PINNING))
              .toList());
    }
  }

  private static final String PINNING = Pinning.class.getName();

  /** Whether a class whose name begins so waited there. */
  private static boolean isOf(RecordedEvent event, String name) {
    return event.getStackTrace().getFrames().stream()
        .anyMatch(frame -> frame.getMethod().getType().getName().startsWith(name));
  }

  /** What many threads take together. What each of them takes increases. */
  private static List<Long> share(Callable<Long> next) throws Exception {
    List<Future<List<Long>>> sharers = new ArrayList<>();
    List<Long> all = new ArrayList<>();
    ExecutorService executor = virtualThreads();
    for (int i = 0; i < SHARERS; i++) {
      sharers.add(
          executor.submit(
              () -> {
                List<Long> taken = new ArrayList<>();
                for (int j = 0; j < EACH; j++) {
                  taken.add(next.call());
                }
                return taken;
              }));
    }
    for (Future<List<Long>> sharer : sharers) {
      List<Long> taken = get(sharer);
      assertEquals(taken.stream().sorted().toList(), taken);
      all.addAll(taken);
    }
    executor.shutdown();
    return all;
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

  private static <T> T get(Future<T> call) throws InterruptedException {
    try {
      return call.get();
    } catch (ExecutionException e) {
      throw new AssertionError("a call failed", e.getCause());
    }
  }
}
