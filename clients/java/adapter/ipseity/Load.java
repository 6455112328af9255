package ipseity;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Threads that take one identity after the other, and write down what they get. */
final class Load {
  /** How long a worker sleeps between two portions, so that the files do not fill the disk. */
  private static final long PAUSE_MILLIS = 10;

  private final Taker taker;
  private final int portion;
  private final List<Thread> threads = new ArrayList<>();
  private final Map<String, Long> errors = new TreeMap<>();
  private volatile boolean ended;
  private long identities;
  private long longestNanos;
  private Throwable mistake;

  Load(Taker taker, int workers, String path, int portion) {
    this.taker = taker;
    this.portion = portion;
    for (int number = 0; number < workers; number++) {
      Path file = Path.of(path + "." + number);
      Thread thread = new Thread(() -> work(file), "load-" + number);
      threads.add(thread);
      thread.start();
    }
  }

  /** Ends the threads and waits for them. */
  Map<String, Object> unload() throws InterruptedException {
    ended = true;
    for (Thread thread : threads) {
      thread.join();
    }
    if (mistake != null) {
      throw new IllegalStateException("a worker failed", mistake);
    }
    return Map.of(
        "identities", identities, "errors", errors, "longest_ms", longestNanos / 1_000_000);
  }

  private void work(Path file) {
    long taken = 0;
    long longest = 0;
    Map<String, Long> failed = new TreeMap<>();
    try (BufferedWriter out = Files.newBufferedWriter(file)) {
      for (long calls = 1; !ended; calls++) {
        long before = System.nanoTime();
        try {
          out.write(Long.toString(taker.next()));
          out.write('\n');
          taken++;
        } catch (IpseityException e) {
          failed.merge(Answers.className(e), 1L, Long::sum);
        }
        longest = Math.max(longest, System.nanoTime() - before);
        if (calls % portion == 0) {
          out.flush();
          Thread.sleep(PAUSE_MILLIS);
        }
      }
    } catch (IOException | InterruptedException | RuntimeException e) {
      note(e);
    }
    add(taken, longest, failed);
  }

  private synchronized void note(Throwable e) {
    mistake = e;
  }

  private synchronized void add(long taken, long longest, Map<String, Long> failed) {
    identities += taken;
    longestNanos = Math.max(longestNanos, longest);
    failed.forEach((name, count) -> errors.merge(name, count, Long::sum));
  }
}
