package ipseity;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Something that goes on in a thread of its own while the test does something else. */
final class Background<T> {
  /** Longer than anything takes here. It is only there so that a test ends. */
  private static final long LONG_SECONDS = 30;

  private final FutureTask<T> task;
  final Thread thread;

  private Background(Callable<T> work) {
    task = new FutureTask<>(work);
    thread = Threads.daemon("background", task);
    thread.start();
  }

  static <T> Background<T> of(Callable<T> work) {
    return new Background<>(work);
  }

  /** What came of it. */
  T get() {
    try {
      return task.get(LONG_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw new AssertionError("it failed", e.getCause());
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError("it did not end", e);
    }
  }

  /** Why it failed. */
  Throwable failure() {
    try {
      throw new AssertionError("it did not fail: " + task.get(LONG_SECONDS, TimeUnit.SECONDS));
    } catch (ExecutionException e) {
      return e.getCause();
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError("it did not end", e);
    }
  }

  /** Waits until the thread waits for something. */
  void waits() throws InterruptedException {
    while (thread.getState() != Thread.State.TIMED_WAITING
        && thread.getState() != Thread.State.WAITING) {
      Thread.sleep(1);
    }
  }
}
