package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** TLS, with certificates that openssl makes. */
class TlsTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static Certificates made;

  @BeforeAll
  static void make() {
    assumeTrue(Certificates.canBeMade(), "openssl is not on this machine");
    made = new Certificates(directory);
    made.ca("ca");
    made.ca("other");
    made.leaf("good", "ca", "IP:127.0.0.1,DNS:localhost", 1);
    // Its common name is that of its file.
    made.leaf("localhost", "ca", "IP:127.0.0.1", 1);
    made.leaf("wrong", "ca", "DNS:elsewhere.example", 1);
    made.leaf("expired", "ca", "IP:127.0.0.1", -1);
    made.leaf("alice", "ca", "DNS:alice.example", 1);
    made.leaf("mallory", "other", "DNS:mallory.example", 1);
  }

  private static SSLContext context(String ca, String own) {
    return Tls.context(made.path(ca + ".pem"), made.path(own + ".pem"), made.path(own + ".key"));
  }

  /** A server that shows this certificate, and perhaps wants to see one. */
  private static Scripted server(String own, boolean wantsOne, Scripted.Script script)
      throws IOException {
    SSLServerSocket listener =
        (SSLServerSocket)
            context("ca", own)
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
    listener.setNeedClientAuth(wantsOne);
    return Scripted.on(listener, script);
  }

  private static Client client(Scripted server, SSLContext context) {
    Options options = new Options().connectTimeout(LONG).replyTimeout(LONG).callTimeout(LONG);
    return Client.open(List.of("tls://" + server.address()), options.tls(context));
  }

  private static ServerFailure failure(Client client) {
    return assertThrows(UnavailableException.class, client::next).failures().get(0);
  }

  @Test
  void identities_come_by_tls_and_the_end_is_clean() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    try (Scripted server =
        server(
            "good",
            false,
            peer -> {
              assertEquals(1, peer.request().count());
              peer.identities(1025, 1);
              assertEquals(2, peer.request().count());
              peer.identities(2049, 2);
              // With close_notify: without it, this would throw.
              assertTrue(peer.isEnd());
              ended.countDown();
            })) {
      try (Client client = client(server, Tls.context(made.path("ca.pem")))) {
        assertEquals(1025, client.next());
        assertEquals(new Block(2049, 2), client.block(2));
      }
      ended.await();
    }
  }

  @Test
  void a_client_may_show_a_certificate() throws Exception {
    try (Scripted server = server("good", true, peer -> peer.serve(1, 1, 1000))) {
      try (Client client = client(server, context("ca", "alice"))) {
        assertEquals(1025, client.next());
      }
      for (SSLContext refused :
          List.of(Tls.context(made.path("ca.pem")), context("ca", "mallory"))) {
        try (Client client = client(server, refused)) {
          ServerFailure failure = failure(client);
          assertEquals(ServerFailure.Reason.CERTIFICATE, failure.reason(), failure.cause());
        }
      }
    }
  }

  @Test
  void a_certificate_that_is_not_good_is_a_failure_with_its_reason() throws Exception {
    // Waiting cannot help, so each call ends at once and not after 20 seconds.
    check("wrong", "ca", "is not for 127.0.0.1");
    check("expired", "ca", "has expired");
    check("good", "other", "no CA that this client believes");
  }

  private static void check(String shown, String believed, String reason) throws Exception {
    try (Scripted server = server(shown, false, peer -> peer.serve(1, 1, 1000));
        Client client = client(server, Tls.context(made.path(believed + ".pem")))) {
      ServerFailure failure = failure(client);
      assertEquals(ServerFailure.Reason.CERTIFICATE, failure.reason(), failure.cause());
      assertTrue(failure.cause().contains(reason), failure.cause());
      assertEquals(1, server.connections());
    }
  }

  @Test
  void a_common_name_is_no_name() throws Exception {
    try (Scripted server = server("localhost", false, peer -> peer.serve(1, 1, 1000))) {
      Options options = new Options().connectTimeout(LONG).replyTimeout(LONG).callTimeout(LONG);
      options = options.tls(Tls.context(made.path("ca.pem")));
      String byName = "tls://" + server.address().replace("127.0.0.1", "localhost");
      try (Client client = Client.open(List.of(byName), options)) {
        ServerFailure failure = failure(client);
        assertEquals(ServerFailure.Reason.CERTIFICATE, failure.reason(), failure.cause());
        assertTrue(failure.cause().contains("is not for localhost"), failure.cause());
      }
      try (Client client = Client.open(List.of("tls://" + server.address()), options)) {
        assertEquals(1025, client.next());
      }
    }
  }

  @Test
  void a_server_without_tls_says_so() throws Exception {
    try (Scripted server =
            Scripted.again(
                peer -> {
                  peer.error(ErrorCodes.TLS_NOT_OFFERED, "no TLS here");
                  peer.freeze();
                });
        Client client = client(server, Tls.context(made.path("ca.pem")))) {
      ServerFailure failure = failure(client);
      assertEquals(ErrorCodes.TLS_NOT_OFFERED, failure.code(), failure.cause());
      assertTrue(failure.cause().contains("write its address without tls://"), failure.cause());
      assertEquals(1, server.connections());
    }
  }

  @Test
  void a_server_of_tls_that_is_spoken_to_without_it_says_so() throws Exception {
    BlockingQueue<ServerFailure> failures = new LinkedBlockingQueue<>();
    Options options =
        new Options()
            .connectTimeout(LONG)
            .replyTimeout(LONG)
            .callTimeout(LONG)
            .onFailover(failures::add);
    try (Scripted server = server("good", false, peer -> peer.serve(1, 1, 1000));
        Client client = Client.open(List.of(server.address()), options)) {
      Background<Long> call = Background.of(client::next);
      ServerFailure failure = failures.take();
      assertEquals(ServerFailure.Reason.TLS, failure.reason(), failure.cause());
      assertTrue(failure.cause().contains("write tls:// before its address"), failure.cause());
      // It tries again until its time is over.
      call.thread.interrupt();
      assertInstanceOf(InterruptedException.class, call.failure());
    }
  }

  @Test
  void a_handshake_has_a_time() throws Exception {
    Options options =
        new Options()
            .connectTimeout(Duration.ofMillis(100))
            .callTimeout(Duration.ofSeconds(1))
            .tls(Tls.context(made.path("ca.pem")));
    try (Scripted server = Scripted.again(Peer::freeze);
        Client client = Client.open(List.of("tls://" + server.address()), options)) {
      ServerFailure failure = failure(client);
      assertTrue(client.counters().failures() >= 1, failure.cause());
    }
  }

  @Test
  void a_source_takes_by_tls_too() throws Exception {
    Options options = new Options().callTimeout(LONG).tls(Tls.context(made.path("ca.pem")));
    try (Scripted server = server("good", false, peer -> peer.serve(1, 1, 7));
        Source source = Source.open(List.of("tls://" + server.address()), options)) {
      long before = 0;
      for (int i = 0; i < 5000; i++) {
        long identity = source.next();
        assertTrue(identity > before);
        before = identity;
      }
    }
  }

  @Test
  void files_that_are_not_what_they_should_be_are_refused() throws IOException {
    Path empty = Files.createFile(directory.resolve("empty.pem"));
    Path missing = directory.resolve("missing.pem");
    Path ca = made.path("ca.pem");
    for (Path wrong : List.of(empty, missing, made.path("ca.key"))) {
      ConfigurationException e =
          assertThrows(ConfigurationException.class, () -> Tls.context(wrong));
      assertTrue(e.getMessage().contains(wrong.toString()), e.getMessage());
      assertEquals(wrong == missing, e.getMessage().contains("no such file"), e.getMessage());
    }
    made.openssl("ec", "-in", "alice.key", "-out", "old.key");
    ConfigurationException old =
        assertThrows(
            ConfigurationException.class,
            () -> Tls.context(ca, made.path("alice.pem"), made.path("old.key")));
    assertTrue(old.getMessage().contains("openssl pkcs8"), old.getMessage());
    made.openssl("genpkey", "-algorithm", "rsa", "-out", "rsa.key");
    assertThrows(
        ConfigurationException.class,
        () -> Tls.context(ca, made.path("alice.pem"), made.path("rsa.key")));
    assertThrows(
        ConfigurationException.class,
        () -> Tls.context(ca, made.path("alice.pem"), made.path("good.key")));
  }
}
