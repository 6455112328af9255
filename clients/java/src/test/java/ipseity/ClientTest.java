package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A client before scripted servers. */
class ClientTest {
  /** Longer than anything here takes, so that only what should time out does. */
  private static final Duration LONG = Duration.ofSeconds(20);

  private static final Duration SHORT = Duration.ofMillis(100);

  private static Options patient() {
    return new Options().first(0).connectTimeout(LONG).replyTimeout(LONG).callTimeout(LONG);
  }

  private static Client client(Options options, Scripted... servers) {
    return Client.open(List.of(servers).stream().map(Scripted::address).toList(), options);
  }

  @Test
  void it_asks_for_more_than_it_has_seen() throws Exception {
    try (Scripted server =
            Scripted.of(
                peer -> {
                  assertEquals(new Peer.Request(1, 0), peer.request());
                  peer.identities(1025, 1);
                  assertEquals(new Peer.Request(3, 1025), peer.request());
                  peer.identities(2049, 3);
                  assertEquals(new Peer.Request(1, 10_241), peer.request());
                  peer.identities(11_265, 1);
                  assertTrue(peer.isEnd());
                });
        Client client = client(patient(), server)) {
      assertEquals(OptionalLong.empty(), client.newest());
      assertEquals(1025, client.next());
      assertEquals(new Block(2049, 3), client.block(3));
      assertEquals(OptionalLong.of(4097), client.newest());
      client.observe(10_241);
      client.observe(5);
      assertEquals(OptionalLong.of(10_241), client.newest());
      assertEquals(11_265, client.next());
      assertEquals(new Counters(3, 5, 1, 0, 0, 0, 0), client.counters());
      assertThrows(ConfigurationException.class, () -> client.block(-1));
      assertThrows(ConfigurationException.class, () -> client.observe(-1));
    }
  }

  @Test
  void the_name_of_the_cluster_goes_before_the_first_request() throws Exception {
    try (Scripted server =
            Scripted.of(
                peer -> {
                  assertEquals("ipseity", peer.hello());
                  peer.request();
                  peer.introduce("ipseity", 1000, 1);
                  peer.identities(1025, 1);
                  peer.request();
                  peer.identities(2049, 1);
                  peer.freeze();
                });
        Client client = client(patient().cluster("ipseity"), server)) {
      assertEquals(1025, client.next());
      assertEquals(2049, client.next());
    }
  }

  @Test
  void a_server_of_another_cluster_ends_the_call() throws Exception {
    Scripted.Script tells =
        peer -> {
          peer.hello();
          peer.request();
          peer.introduce("other", 1000, 1);
          peer.identities(1025, 1);
          peer.freeze();
        };
    Scripted.Script refuses =
        peer -> {
          peer.hello();
          peer.error(64, "this is another");
          peer.freeze();
        };
    try (Scripted first = Scripted.of(tells, refuses);
        Scripted second = Scripted.serving(2);
        Client client = client(patient().cluster("ipseity"), first, second)) {
      WrongClusterException e = assertThrows(WrongClusterException.class, client::next);
      assertEquals(first.address(), e.server());
      assertTrue(e.getMessage().contains("\"other\""), e.getMessage());
      assertEquals(OptionalLong.empty(), client.newest());
      assertThrows(WrongClusterException.class, client::next);
      assertEquals(0, second.connections());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43})
  void a_server_that_cannot_serve_is_left_for_the_next(int code) throws Exception {
    List<ServerFailure> failures = new ArrayList<>();
    List<String> connects = new ArrayList<>();
    Options options = patient().onFailover(failures::add).onConnect(connects::add);
    try (Scripted first =
            Scripted.of(
                peer -> {
                  peer.request();
                  peer.error(code, "not\nnow");
                  assertTrue(peer.isEnd());
                });
        Scripted second = Scripted.serving(2);
        Client client = client(options, first, second)) {
      assertEquals(1026, client.next());
      assertEquals(2050, client.next());
      assertEquals(List.of(first.address(), second.address()), connects);
      assertEquals(1, failures.size());
      assertEquals(ServerFailure.Reason.REFUSED, failures.get(0).reason());
      assertEquals(code, failures.get(0).code());
      assertFalse(failures.get(0).toString().contains("\n"));
      assertEquals(1, client.counters().failures());
      assertEquals(1, second.connections());
    }
  }

  @Test
  void a_refused_request_ends_its_call_and_the_connection_goes_on() throws Exception {
    try (Scripted server =
            Scripted.of(
                peer -> {
                  assertEquals(0, peer.request().count());
                  peer.error(32, "count must be 1 to 9");
                  peer.request();
                  peer.error(50, "news");
                  peer.request();
                  peer.identities(1025, 1);
                  peer.request();
                  peer.error(2, "bad length");
                  assertTrue(peer.isEnd());
                },
                peer -> {
                  peer.request();
                  peer.identities(2049, 1);
                  peer.freeze();
                });
        Client client = client(patient(), server)) {
      RefusedException e = assertThrows(RefusedException.class, () -> client.block(0));
      assertEquals(32, e.code());
      assertEquals(server.address(), e.server());
      assertTrue(e.getMessage().endsWith("refused: count must be 1 to 9 (badCount)"));
      assertEquals(50, assertThrows(RefusedException.class, client::next).code());
      assertEquals(1025, client.next());
      assertEquals(2, assertThrows(RefusedException.class, client::next).code());
      assertEquals(2049, client.next());
      assertEquals(0, client.counters().failures());
    }
  }

  @Test
  void what_breaks_the_protocol_ends_the_call_and_is_never_used() throws Exception {
    List<byte[]> replies =
        List.of(
            Bytes.identityReply(1025, 2),
            Bytes.identityReply(1023, 1),
            Bytes.identityReply(Long.MIN_VALUE, 1),
            Bytes.identityReply(1, 1),
            Bytes.identityReply(5122, 1),
            Bytes.helloReply("ipseity", 1000, 1),
            Bytes.hex("0000"),
            Bytes.hex("000b06"),
            "HTTP/1.1 400 Bad Request\r\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
    for (byte[] reply : replies) {
      try (Scripted first =
              Scripted.of(
                  peer -> {
                    peer.request();
                    peer.send(reply);
                    peer.freeze();
                  });
          Scripted second = Scripted.serving(2);
          Client client = client(patient(), first, second)) {
        client.observe(5122);
        ProtocolException e = assertThrows(ProtocolException.class, client::next);
        assertEquals(first.address(), e.server());
        assertTrue(e.getMessage().contains("breaks the protocol: "), e.getMessage());
        assertEquals(OptionalLong.of(5122), client.newest());
        assertEquals(0, second.connections());
        assertEquals(0, client.counters().identities());
      }
    }
  }

  @Test
  void identities_that_fall_back_or_change_their_pid_break_the_protocol() throws Exception {
    for (long second : new long[] {1025, 1024, 2050}) {
      try (Scripted server =
              Scripted.of(
                  peer -> {
                    peer.request();
                    peer.identities(1025, 1);
                    peer.request();
                    peer.identities(second, 1);
                    peer.freeze();
                  });
          Client client = client(patient(), server)) {
        assertEquals(1025, client.next());
        assertThrows(ProtocolException.class, client::next);
      }
    }
  }

  @Test
  void a_reply_may_come_in_any_pieces() throws Exception {
    byte[] replies = Bytes.identityReply(1025, 1);
    for (int cut = 1; cut < replies.length; cut++) {
      int at = cut;
      try (Scripted server =
              Scripted.of(
                  peer -> {
                    peer.request();
                    peer.send(java.util.Arrays.copyOf(replies, at));
                    Thread.sleep(2);
                    peer.send(java.util.Arrays.copyOfRange(replies, at, replies.length));
                    peer.freeze();
                  });
          Client client = client(patient(), server)) {
        assertEquals(1025, client.next());
      }
    }
  }

  @Test
  void a_connection_that_was_closed_while_idle_is_made_again() throws Exception {
    for (boolean withReset : new boolean[] {false, true}) {
      Scripted.Script once =
          peer -> {
            Peer.Request request = peer.request();
            peer.identities((Identity.sequenceOf(request.after()) + 1) << 10 | 1, 1);
            if (withReset) {
              peer.request();
              peer.reset();
            }
          };
      try (Scripted server = Scripted.again(once);
          Client client = client(patient(), server)) {
        for (long sequence = 1; sequence <= 5; sequence++) {
          assertEquals(sequence << 10 | 1, client.next());
        }
        assertEquals(0, client.counters().failures());
        assertEquals(5, client.counters().connects());
      }
    }
  }

  @Test
  void a_connection_that_is_idle_for_too_long_is_closed() throws Exception {
    CountDownLatch closed = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.request();
                  peer.identities(1025, 1);
                  assertTrue(peer.isEnd());
                  closed.countDown();
                },
                peer -> peer.serve(1, 5, 1000));
        Client client = client(patient().idleMax(SHORT), server)) {
      assertEquals(1025, client.next());
      // Nobody calls meanwhile.
      closed.await();
      assertEquals(5 << 10 | 1, client.next());
      assertEquals(0, client.counters().failures());
    }
  }

  @Test
  void a_connection_that_closes_in_the_middle_of_a_reply_has_failed() throws Exception {
    try (Scripted first =
            Scripted.of(
                peer -> {
                  peer.request();
                  peer.send(Bytes.hex("000d02"));
                });
        Scripted second = Scripted.serving(2);
        Client client = client(patient(), first, second)) {
      assertEquals(1026, client.next());
      assertEquals(1, client.counters().failures());
    }
  }

  @Test
  void a_frozen_server_costs_one_reply_timeout_once() throws Exception {
    try (Scripted frozen = Scripted.again(Peer::freeze);
        Scripted second = Scripted.serving(2);
        Client client = client(patient().replyTimeout(Duration.ofSeconds(1)), frozen, second)) {
      for (int i = 0; i < 50; i++) {
        client.next();
      }
      assertEquals(1, client.counters().failures());
      assertEquals(1, frozen.connections());
      assertEquals(1, second.connections());
    }
  }

  @Test
  void a_server_that_freezes_with_many_calls_has_failed_once() throws Exception {
    CountDownLatch frozen = new CountDownLatch(1);
    try (Scripted first =
            Scripted.of(
                peer -> {
                  for (int i = 0; i < 8; i++) {
                    peer.request();
                  }
                  frozen.countDown();
                  peer.freeze();
                });
        Scripted second = Scripted.serving(2);
        Client client = client(patient().replyTimeout(Duration.ofSeconds(1)), first, second)) {
      List<Background<Long>> calls = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        calls.add(Background.of(client::next));
      }
      frozen.await();
      Set<Long> identities = new HashSet<>();
      for (Background<Long> call : calls) {
        identities.add(call.get());
      }
      assertEquals(8, identities.size());
      assertEquals(1, client.counters().failures());
      assertEquals(1, second.connections());
    }
  }

  @Test
  void a_server_that_comes_back_is_used_again() throws Exception {
    ServerSocket listener = Scripted.listen();
    try (Scripted server =
            Scripted.on(
                listener,
                peer -> {
                  peer.request();
                  peer.error(36, "stopping");
                },
                peer -> peer.serve(1, 1, 1000));
        Client client = client(patient(), server)) {
      // There is no other, so it is asked again after a short wait.
      assertEquals(1025, client.next());
      assertEquals(1, client.counters().failures());
      assertEquals(2, server.connections());
    }
  }

  @Test
  void a_call_ends_in_its_time_and_names_every_server() throws Exception {
    Options options = new Options().first(0).replyTimeout(SHORT).callTimeout(Duration.ofSeconds(2));
    // It has the port and does not listen, so nobody else gets it meanwhile.
    try (Socket nobody = new Socket();
        Scripted frozen = Scripted.again(Peer::freeze)) {
      nobody.bind(new InetSocketAddress("127.0.0.1", 0));
      String dead = "127.0.0.1:" + nobody.getLocalPort();
      try (Client client = Client.open(List.of(dead, frozen.address()), options)) {
        UnavailableException e = assertThrows(UnavailableException.class, client::next);
        assertEquals(2, e.failures().size());
        assertEquals(ServerFailure.Reason.CONNECT, e.failures().get(0).reason());
        assertEquals(dead, e.failures().get(0).server());
        assertEquals(ServerFailure.Reason.TIMEOUT, e.failures().get(1).reason());
        assertTrue(
            e.getMessage().startsWith("none of 2 servers answered: " + dead + ": "),
            e.getMessage());
      }
    }
  }

  @Test
  void a_call_ends_before_the_reply_timeout_if_its_own_time_is_shorter() throws Exception {
    Options options = patient().callTimeout(SHORT);
    try (Scripted frozen = Scripted.again(Peer::freeze);
        Scripted second = Scripted.serving(2);
        Client client = client(options, frozen, second)) {
      UnavailableException e = assertThrows(UnavailableException.class, client::next);
      assertEquals(ServerFailure.Reason.TIMEOUT, e.failures().get(0).reason());
      assertEquals(ServerFailure.Reason.NOT_ASKED, e.failures().get(1).reason());
      assertEquals(0, client.counters().failures());
    }
  }

  @Test
  void it_does_not_wait_where_waiting_cannot_help() throws Exception {
    try (Scripted first =
            Scripted.again(
                peer -> {
                  peer.request();
                  peer.error(34, "exhausted");
                });
        Scripted second =
            Scripted.again(
                peer -> {
                  peer.request();
                  peer.error(6, "tlsRequired");
                });
        Client client = client(patient(), first, second)) {
      // With a wait it would take all of its 20 seconds.
      UnavailableException e = assertThrows(UnavailableException.class, client::next);
      assertEquals(34, e.failures().get(0).code());
      assertEquals(6, e.failures().get(1).code());
      assertEquals(1, first.connections());
      assertEquals(1, second.connections());
    }
  }

  @Test
  void a_server_that_refuses_before_it_is_asked_has_been_tried() throws Exception {
    // Sometimes the refusal is there before the call can write its request, and sometimes not.
    for (int i = 0; i < 100; i++) {
      try (Scripted server = Scripted.again(peer -> peer.error(6, "tlsRequired"));
          Client client = client(patient(), server)) {
        UnavailableException e = assertThrows(UnavailableException.class, client::next);
        assertEquals(6, e.failures().get(0).code());
        assertEquals(1, server.connections());
        assertEquals(1, client.counters().failures());
      }
    }
  }

  @Test
  void an_interrupted_call_shifts_no_reply() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch cancelled = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.request();
                  assertEquals(2, peer.request().count());
                  assertEquals(3, peer.request().count());
                  asked.countDown();
                  cancelled.await();
                  peer.identities(1025, 1);
                  peer.identities(2049, 2);
                  peer.identities(4097, 3);
                  peer.freeze();
                });
        Client client = client(patient(), server)) {
      Background<Block> one = Background.of(() -> client.block(1));
      while (client.counters().requests() < 1) {
        Thread.sleep(1);
      }
      Background<Block> two = Background.of(() -> client.block(2));
      while (client.counters().requests() < 2) {
        Thread.sleep(1);
      }
      Background<Block> three = Background.of(() -> client.block(3));
      asked.await();
      two.waits();
      two.thread.interrupt();
      assertInstanceOf(InterruptedException.class, two.failure());
      cancelled.countDown();
      assertEquals(new Block(1025, 1), one.get());
      assertEquals(new Block(4097, 3), three.get());
      assertEquals(4, client.counters().identities());
      assertEquals(1, client.counters().connects());
    }
  }

  @Test
  void a_call_that_is_interrupted_while_it_connects_sends_nothing() throws Exception {
    ServerSocket listener = Scripted.listen();
    CountDownLatch hello = new CountDownLatch(1);
    Options options = patient().onConnect(server -> awaitQuietly(hello));
    try (Scripted server = Scripted.on(listener, peer -> peer.serve(1, 1, 1000));
        Client client = client(options, server)) {
      Background<Long> call = Background.of(client::next);
      call.waits();
      call.thread.interrupt();
      assertInstanceOf(InterruptedException.class, call.failure());
      hello.countDown();
      assertEquals(1025, client.next());
      assertEquals(1, client.counters().requests());
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, client::next);
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void close_ends_the_calls_that_are_under_way() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch gone = new CountDownLatch(1);
    try (Scripted server =
        Scripted.of(
            peer -> {
              peer.request();
              asked.countDown();
              assertTrue(peer.isEnd());
              gone.countDown();
            })) {
      Client client = client(patient(), server);
      Background<Long> call = Background.of(client::next);
      asked.await();
      client.close();
      assertInstanceOf(ClosedException.class, call.failure());
      gone.await();
      assertThrows(ClosedException.class, client::next);
      client.close();
    }
  }

  @Test
  void close_ends_the_wait_between_two_rounds() throws Exception {
    try (Scripted server =
        Scripted.again(
            peer -> {
              peer.request();
              peer.error(36, "stopping");
            })) {
      Client client = client(patient(), server);
      Background<Long> call = Background.of(client::next);
      while (client.counters().failures() < 3) {
        Thread.sleep(1);
      }
      client.close();
      assertInstanceOf(ClosedException.class, call.failure());
    }
  }

  @Test
  void many_threads_share_one_connection() throws Exception {
    try (Scripted server = Scripted.serving(3);
        Client client = client(patient(), server)) {
      Set<Long> all = ConcurrentHashMap.newKeySet();
      List<Background<Boolean>> threads = new ArrayList<>();
      for (int thread = 0; thread < 16; thread++) {
        threads.add(
            Background.of(
                () -> {
                  long before = 0;
                  boolean increases = true;
                  for (int i = 0; i < 500; i++) {
                    long identity = client.next();
                    increases &= identity > before && all.add(identity);
                    before = identity;
                  }
                  return increases;
                }));
      }
      for (Background<Boolean> thread : threads) {
        assertTrue(thread.get());
      }
      assertEquals(8000, all.size());
      assertEquals(1, server.connections());
    }
  }

  @Test
  void more_calls_than_may_be_under_way_wait_for_their_turn() throws Exception {
    CountDownLatch full = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  full.await();
                  peer.serve(1, 1, 1000);
                });
        Client client = client(patient(), server)) {
      List<Background<Long>> calls = new ArrayList<>();
      for (int i = 0; i < Limits.IN_FLIGHT_MAX + 50; i++) {
        calls.add(Background.of(client::next));
      }
      while (client.counters().requests() < Limits.IN_FLIGHT_MAX) {
        Thread.sleep(1);
      }
      assertEquals(Limits.IN_FLIGHT_MAX, client.counters().requests());
      full.countDown();
      Set<Long> all = new HashSet<>();
      for (Background<Long> call : calls) {
        all.add(call.get());
      }
      assertEquals(calls.size(), all.size());
    }
  }

  @Test
  void a_reply_that_had_begun_before_anything_was_asked_is_no_reply() throws Exception {
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.request();
                  byte[] stray = Bytes.identityReply(Identity.of(7, 1).value(), 1);
                  ByteBuffer both = ByteBuffer.allocate(2 * stray.length);
                  both.put(Bytes.identityReply(1025, 1)).put(stray);
                  // In one piece, so that the beginning is there when the first call ends.
                  peer.send(Arrays.copyOf(both.array(), stray.length + 5));
                  peer.request();
                  peer.send(Arrays.copyOfRange(stray, 5, stray.length));
                  peer.isEnd();
                },
                peer -> peer.serve(1, 9, 1000));
        Client client = client(patient(), server)) {
      assertEquals(1025, client.next());
      ProtocolException e = assertThrows(ProtocolException.class, client::next);
      assertTrue(e.getMessage().contains("nothing had asked for it"), e.getMessage());
      assertEquals(9 << 10 | 1, client.next());
    }
  }

  @Test
  void bytes_that_nobody_asked_for_are_told_to_the_next_call() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.request();
                  peer.identities(1025, 1);
                  peer.identities(2049, 1);
                  assertTrue(peer.isEnd());
                  ended.countDown();
                },
                peer -> peer.serve(1, 9, 1000));
        Client client = client(patient(), server)) {
      assertEquals(1025, client.next());
      ended.await();
      ProtocolException e = assertThrows(ProtocolException.class, client::next);
      assertTrue(e.getMessage().contains("nothing had asked for it"), e.getMessage());
      assertEquals(9 << 10 | 1, client.next());
    }
  }

  @Test
  void a_hook_that_throws_harms_nobody() throws Exception {
    Options options =
        patient()
            .onConnect(
                server -> {
                  throw new IllegalStateException("a mistake of the program");
                });
    try (Scripted server = Scripted.serving(1);
        Client client = client(options, server)) {
      assertEquals(1025, client.next());
    }
  }

  @Test
  void all_addresses_of_a_name_are_tried() throws Exception {
    // Nobody listens at ::1 there, if this machine has IPv6 at all.
    try (Scripted server = Scripted.serving(1)) {
      String port = server.address().substring(server.address().indexOf(':'));
      try (Client client = Client.open(List.of("localhost" + port), patient())) {
        assertEquals(1025, client.next());
      }
    }
  }

  @Test
  void a_name_that_does_not_exist_is_said_so() throws Exception {
    BlockingQueue<ServerFailure> failures = new LinkedBlockingQueue<>();
    try (Client client =
        Client.open(List.of("no-such-host.invalid"), patient().onFailover(failures::add))) {
      Background<Long> call = Background.of(client::next);
      assertEquals(ServerFailure.Reason.LOOKUP, failures.take().reason());
      // It tries again until its time is over.
      call.thread.interrupt();
      assertInstanceOf(InterruptedException.class, call.failure());
    }
  }

  @Test
  void the_first_server_is_a_random_one() throws Exception {
    try (Scripted first = Scripted.serving(1);
        Scripted second = Scripted.serving(2)) {
      Set<Integer> pids = new HashSet<>();
      for (int i = 0; i < 200 && pids.size() < 2; i++) {
        try (Client client = Client.open(first.address(), second.address())) {
          pids.add(Identity.pidOf(client.next()));
        }
      }
      assertEquals(Set.of(1, 2), pids);
    }
  }
}
