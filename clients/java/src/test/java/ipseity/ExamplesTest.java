package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs the examples, as modules see the library, before a real server. */
class ExamplesTest {
  @TempDir Path directory;

  @Test
  void every_example_runs() throws Exception {
    try (RealServer server = RealServer.start(directory, 1)) {
      assertEquals(
          "1025 is sequence 1 of pid 1\n0x401 1:1 0000000000101\n" + "greater\n".repeat(4),
          run("Take", server));
      assertEquals(
          "100000 identities with fewer than 1000 requests: true\n", run("Shared", server));
      String failover = run("Failover", server);
      assertTrue(failover.contains("connected\n"), failover);
      assertTrue(failover.contains("failed: CONNECT\n"), failover);
      assertTrue(failover.endsWith("no server answers: try again later\n"), failover);
    }
  }

  private static String run(String example, RealServer server)
      throws IOException, InterruptedException {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    Process process =
        new ProcessBuilder(
                java.toString(),
                "--module-path",
                "target/classes",
                "--add-modules",
                "ipseity",
                "examples/" + example + ".java",
                server.address())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }
}
