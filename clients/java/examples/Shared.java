import ipseity.Counters;
import ipseity.Source;
import java.util.ArrayList;
import java.util.List;

/** One source for all threads of a program. */
public class Shared {
  private Shared() {}

  public static void main(String[] servers) throws InterruptedException {
    try (Source source = Source.open(servers)) {
      List<Thread> threads = new ArrayList<>();
      for (int number = 0; number < 4; number++) {
        Thread thread = new Thread(() -> take(source, 25_000));
        threads.add(thread);
        thread.start();
      }
      for (Thread thread : threads) {
        thread.join();
      }
      Counters counters = source.counters();
      System.out.println(
          counters.identities()
              + " identities with fewer than 1000 requests: "
              + (counters.requests() < 1000));
    }
  }

  private static void take(Source source, int count) {
    try {
      for (int i = 0; i < count; i++) {
        source.next();
      }
    } catch (InterruptedException e) {
      // Somebody wants this thread to end.
    }
  }
}
