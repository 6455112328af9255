import ipseity.Client;
import ipseity.Options;
import ipseity.UnavailableException;
import java.time.Duration;
import java.util.List;

/** Watches a client that goes on to the next server, and says what to do if there is none. */
public class Failover {
  private Failover() {}

  public static void main(String[] servers) throws InterruptedException {
    Options options =
        new Options()
            .callTimeout(Duration.ofSeconds(1))
            .onConnect(server -> System.out.println("connected"))
            .onFailover(failure -> System.out.println("failed: " + failure.reason()));
    // The port 1 is there to fail.
    List<String> all = new java.util.ArrayList<>(List.of(servers));
    all.add("127.0.0.1:1");
    for (int i = 0; i < 20; i++) {
      // Each one begins with a random server.
      try (Client client = Client.open(all, options)) {
        client.next();
      }
    }
    try (Client client = Client.open(List.of("127.0.0.1:1"), options)) {
      client.next();
    } catch (UnavailableException e) {
      System.out.println("no server answers: try again later");
    }
  }
}
