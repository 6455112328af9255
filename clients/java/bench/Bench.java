import com.github.f4b6a3.tsid.TsidFactory;
import com.github.f4b6a3.ulid.UlidFactory;
import com.github.f4b6a3.uuid.UuidCreator;
import de.mkammerer.snowflakeid.SnowflakeIdGenerator;
import ipseity.Client;
import ipseity.Source;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import redis.clients.jedis.JedisPooled;

/** Identities a second, beside what one would use instead. Prints a table in Markdown. */
public final class Bench {
  private static final int[] THREADS = {1, 8};
  private static final int BLOCK = 1000;
  private static final long WARM_UP_MILLIS = 1000;
  private static final long MILLIS = 1500;

  /** So many calls are counted at once, so that counting costs next to nothing. */
  private static final int CALLS = 16;

  private Bench() {}

  /** Takes once. Returns how many identities it was. */
  private interface Taker {
    long take() throws InterruptedException;
  }

  /**
   * Measures everything.
   *
   * @param arguments none
   * @throws Exception if a server does not start
   */
  @SuppressWarnings(
      "deprecation") // The newer class of Jedis is not in the versions that most programs use.
  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of("target/bench");
    Process server =
        new ProcessBuilder(
                System.getenv("IPSEITY_BIN"),
                "--ephemeral",
                "--pid",
                "1",
                "--listen",
                "127.0.0.1:0")
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("server.log").toFile())
            .start();
    int redisPort = freePort();
    Process redis = redis(directory, redisPort);
    try {
      String address = address(directory.resolve("server.log"));
      try (Client client = Client.open(address);
          Source source = Source.open(address);
          JedisPooled jedis = new JedisPooled("127.0.0.1", redisPort)) {
        Map<String, Taker> takers = new LinkedHashMap<>();
        takers.put("Source.next", () -> source.next() == 0 ? 0 : 1);
        takers.put("Client.next", () -> client.next() == 0 ? 0 : 1);
        takers.put("Client.block(1000)", () -> client.block(BLOCK).count());
        SnowflakeIdGenerator snowflake = SnowflakeIdGenerator.createDefault(0);
        takers.put("Snowflake (snowflake-id 0.0.2)", () -> snowflake.next() == 0 ? 0 : 1);
        TsidFactory tsid = TsidFactory.newInstance1024(0);
        takers.put("TSID (tsid-creator 5.2.6)", () -> tsid.create() == null ? 0 : 1);
        takers.put(
            "UUIDv7 (uuid-creator 6.1.1)",
            () -> UuidCreator.getTimeOrderedEpochPlus1() == null ? 0 : 1);
        UlidFactory ulid = UlidFactory.newMonotonicInstance();
        takers.put("ULID, monotonic (ulid-creator 5.2.3)", () -> ulid.create() == null ? 0 : 1);
        if (redis != null) {
          takers.put("Redis INCR (jedis 7.4.0)", () -> jedis.incr("identity") == 0 ? 0 : 1);
        }
        print(takers);
        System.out.println();
        System.out.println("Source: " + source.counters());
      }
    } finally {
      server.destroyForcibly().waitFor();
      if (redis != null) {
        redis.destroyForcibly().waitFor();
      }
    }
  }

  private static void print(Map<String, Taker> takers) throws InterruptedException {
    System.out.println(
        "| identities a second | 1 thread | 8 threads | 1, to `Source` | 8, to `Source` |");
    System.out.println("| --- | ---: | ---: | ---: | ---: |");
    double[] ours = null;
    for (Map.Entry<String, Taker> taker : takers.entrySet()) {
      double[] rates = new double[THREADS.length];
      for (int i = 0; i < THREADS.length; i++) {
        measure(taker.getValue(), THREADS[i], WARM_UP_MILLIS);
        rates[i] = measure(taker.getValue(), THREADS[i], MILLIS);
      }
      ours = ours == null ? rates : ours;
      System.out.printf(
          "| %s | %.0f | %.0f | %.4f | %.4f |%n",
          taker.getKey(), rates[0], rates[1], rates[0] / ours[0], rates[1] / ours[1]);
    }
  }

  /** How many a second. */
  private static double measure(Taker taker, int count, long millis) throws InterruptedException {
    LongAdder taken = new LongAdder();
    CountDownLatch begin = new CountDownLatch(1);
    AtomicBoolean ended = new AtomicBoolean();
    Thread[] threads = new Thread[count];
    for (int i = 0; i < count; i++) {
      threads[i] = new Thread(() -> take(taker, taken, begin, ended));
      threads[i].start();
    }
    begin.countDown();
    long from = System.nanoTime();
    Thread.sleep(millis);
    ended.set(true);
    double seconds = (System.nanoTime() - from) / 1e9;
    double rate = taken.sum() / seconds;
    for (Thread thread : threads) {
      thread.join();
    }
    return rate;
  }

  private static void take(
      Taker taker, LongAdder taken, CountDownLatch begin, AtomicBoolean ended) {
    try {
      begin.await();
      while (!ended.get()) {
        long some = 0;
        for (int i = 0; i < CALLS; i++) {
          some += taker.take();
        }
        taken.add(some);
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String address(Path log) throws IOException, InterruptedException {
    Pattern listens = Pattern.compile("listens on (127\\.0\\.0\\.1:[0-9]+)");
    for (int tries = 0; tries < 1000; tries++) {
      Matcher matcher = listens.matcher(Files.readString(log));
      if (matcher.find()) {
        return matcher.group(1);
      }
      Thread.sleep(5);
    }
    throw new IllegalStateException("the server does not listen: " + Files.readString(log));
  }

  /** Redis without a disk, or null if it is not on this machine. */
  private static Process redis(Path directory, int port) throws IOException, InterruptedException {
    boolean isThere =
        Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
            .anyMatch(path -> Files.isExecutable(Path.of(path, "redis-server")));
    if (!isThere) {
      return null;
    }
    Process redis =
        new ProcessBuilder(
                "redis-server",
                "--port",
                Integer.toString(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no")
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("redis.log").toFile())
            .start();
    Thread.sleep(1000);
    return redis;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      return socket.getLocalPort();
    }
  }
}
