package ipseity;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A real server on a free port of this machine, that can be killed and frozen. */
final class RealServer implements AutoCloseable {
  private static final Pattern LISTENS = Pattern.compile("listens on (127\\.0\\.0\\.1:[0-9]+)");

  private final Path directory;
  private final int pid;
  private final List<String> flags;
  private Process process;
  private String address;
  private int starts;

  private RealServer(Path directory, int pid, String... flags) {
    this.directory = directory;
    this.pid = pid;
    this.flags = Arrays.asList(flags);
  }

  /** Starts a server of this pid, or skips the test if there is no server. */
  static RealServer start(Path directory, int pid, String... flags)
      throws IOException, InterruptedException {
    RealServer server = new RealServer(directory, pid, flags);
    server.start("127.0.0.1:0");
    return server;
  }

  String address() {
    return address;
  }

  /** Starts it again, at the same address and with its old state. */
  void restart() throws IOException, InterruptedException {
    start(address);
  }

  void kill() throws InterruptedException {
    // SIGKILL.
    process.destroyForcibly().waitFor();
  }

  void freeze() throws IOException, InterruptedException {
    signal("-STOP");
  }

  void thaw() throws IOException, InterruptedException {
    signal("-CONT");
  }

  @Override
  public void close() {
    process.destroyForcibly().onExit().join();
  }

  private void signal(String signal) throws IOException, InterruptedException {
    new ProcessBuilder("kill", signal, Long.toString(process.pid())).start().waitFor();
  }

  private void start(String listen) throws IOException, InterruptedException {
    Path log = directory.resolve("server-" + pid + "-" + starts++ + ".log");
    List<String> command =
        new ArrayList<>(
            List.of(
                binary().toString(),
                "--pid",
                Integer.toString(pid),
                "--listen",
                listen,
                "--data-dir",
                directory.resolve("data-" + pid).toString()));
    command.addAll(flags);
    process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (System.nanoTime() < until) {
      Matcher listens = LISTENS.matcher(Files.readString(log));
      if (listens.find()) {
        address = listens.group(1);
        return;
      }
      if (!process.isAlive()) {
        break;
      }
      Thread.sleep(5);
    }
    process.destroyForcibly();
    throw new AssertionError("the server does not listen: " + Files.readString(log));
  }

  private static Path binary() {
    String told = System.getenv("IPSEITY_BIN");
    Path built = Path.of("../../target/debug/ipseity");
    Path binary = told != null && !told.isEmpty() ? Path.of(told) : built;
    assumeTrue(
        Files.isExecutable(binary),
        binary + " is not there: set IPSEITY_BIN to the path of the server, or build it");
    return binary.toAbsolutePath();
  }
}
