package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** A source before scripted servers. */
class SourceTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  private static Options patient() {
    return new Options().first(0).connectTimeout(LONG).replyTimeout(LONG).callTimeout(LONG);
  }

  private static Source source(Options options, Scripted... servers) {
    return Source.open(List.of(servers).stream().map(Scripted::address).toList(), options);
  }

  private static long identity(long sequence, int pid) {
    return Identity.of(sequence, pid).value();
  }

  @Test
  void it_hands_out_a_block_and_takes_the_next_when_half_is_left() throws Exception {
    List<Integer> refills = new CopyOnWriteArrayList<>();
    CountDownLatch second = new CountDownLatch(1);
    CountDownLatch half = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  assertEquals("", peer.hello());
                  assertEquals(new Peer.Request(16, 0), peer.request());
                  peer.introduce("ipseity", 1000, 1);
                  peer.identities(1025, 16);
                  Peer.Request next = peer.request();
                  assertEquals(0, half.getCount(), "the second refill came before half was left");
                  assertEquals(identity(16, 1), next.after());
                  second.countDown();
                  peer.identities(identity(17, 1), next.count());
                  peer.freeze();
                });
        Source source = source(patient().onRefill(refills::add), server)) {
      assertEquals(OptionalLong.empty(), source.newest());
      for (int sequence = 1; sequence <= 7; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
      }
      assertEquals(1, source.counters().requests());
      half.countDown();
      assertEquals(identity(8, 1), source.next());
      second.await();
      while (refills.size() < 2) {
        Thread.sleep(1);
      }
      for (int sequence = 9; sequence <= 20; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
      }
      assertEquals(OptionalLong.of(identity(20, 1)), source.newest());
      assertEquals(1, source.counters().waits());
      assertEquals(20, source.counters().identities());
      assertEquals(16, refills.get(0));
    }
  }

  @Test
  void a_refill_consists_of_requests_that_the_server_allows() throws Exception {
    List<Integer> counts = new CopyOnWriteArrayList<>();
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.hello();
                  assertEquals(16, peer.request().count());
                  peer.introduce("ipseity", 7, 1);
                  peer.error(ErrorCodes.BAD_COUNT, "count must be 1 to 7");
                  long next = 1;
                  for (int i = 0; i < 3; i++) {
                    int count = peer.request().count();
                    counts.add(count);
                    peer.identities(identity(next, 1), count);
                    next += count;
                  }
                  peer.serve(1, next, 7);
                });
        Source source = source(patient(), server)) {
      for (int sequence = 1; sequence <= 16; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
      }
      assertEquals(List.of(7, 7, 2), counts);
    }
  }

  @Test
  void a_new_connection_is_asked_for_little_before_it_has_told_its_limit() throws Exception {
    CountDownLatch gone = new CountDownLatch(1);
    try (Scripted first =
            Scripted.of(
                peer -> {
                  long next = peer.serve(1, 1, 1000, 1);
                  assertEquals(32, peer.request().count());
                  peer.identities(identity(next, 1), 32);
                  gone.countDown();
                });
        Scripted second =
            Scripted.of(
                peer -> {
                  peer.hello();
                  assertEquals(16, peer.request().count());
                  peer.introduce("ipseity", 20, 2);
                  peer.identities(identity(1000, 2), 16);
                  for (long next = 1016; ; ) {
                    int count = peer.request().count();
                    assertTrue(count <= 20, count + " were asked for");
                    peer.identities(identity(next, 2), count);
                    next += count;
                  }
                });
        Source source = source(patient(), first, second)) {
      for (int sequence = 1; sequence <= 48; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
        if (sequence == 16) {
          gone.await();
        }
      }
      for (int sequence = 1000; sequence <= 1036; sequence++) {
        assertEquals(identity(sequence, 2), source.next());
      }
    }
  }

  @Test
  void all_threads_get_identities_that_increase_and_never_come_twice() throws Exception {
    try (Scripted server = Scripted.serving(5);
        Source source = source(patient().blockMax(5000), server)) {
      int threads = 8;
      int each = 20_000;
      List<Background<long[]>> workers = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        workers.add(
            Background.of(
                () -> {
                  long[] got = new long[each];
                  for (int k = 0; k < each; k++) {
                    got[k] = source.next();
                  }
                  return got;
                }));
      }
      Set<Long> all = new HashSet<>();
      for (Background<long[]> worker : workers) {
        long before = 0;
        for (long identity : worker.get()) {
          assertTrue(identity > before);
          before = identity;
          all.add(identity);
        }
      }
      assertEquals(threads * each, all.size());
      assertEquals(threads * each, source.counters().identities());
      assertEquals(0, source.counters().dropped());
    }
  }

  @Test
  void what_is_not_greater_than_an_observed_identity_is_dropped() throws Exception {
    try (Scripted server = Scripted.serving(1);
        Source source = source(patient(), server)) {
      long first = source.next();
      source.observe(first);
      source.observe(first - 1);
      assertEquals(first + 1024, source.next(), "nothing was dropped");
      source.observe(first + 2 * 1024);
      assertEquals(14, source.counters().dropped());
      assertEquals(OptionalLong.of(first + 2 * 1024), source.newest());
      assertTrue(source.next() > first + 2 * 1024);
      long far = identity(1L << 40, 9);
      source.observe(far);
      assertTrue(source.next() > far);
      assertEquals(4, source.counters().identities());
    }
  }

  @Test
  void a_block_that_comes_too_late_is_dropped_and_another_one_taken() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch observed = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.hello();
                  peer.request();
                  asked.countDown();
                  observed.await();
                  peer.introduce("ipseity", 1000, 1);
                  peer.identities(1025, 16);
                  assertEquals(identity(500, 3), peer.request().after());
                  // What was dropped shows no demand, so this one is not larger.
                  peer.identities(identity(501, 1), 16);
                  peer.freeze();
                });
        Source source = source(patient(), server)) {
      Background<Long> call = Background.of(source::next);
      asked.await();
      source.observe(identity(500, 3));
      observed.countDown();
      assertEquals(identity(501, 1), call.get());
      assertEquals(16, source.counters().dropped());
      assertEquals(2, source.counters().refills());
    }
  }

  @Test
  void what_is_too_old_is_dropped() throws Exception {
    try (Scripted server = Scripted.serving(1);
        Source source = source(patient().blockAgeMax(Duration.ofMillis(50)), server)) {
      long first = source.next();
      long counted = source.counters().identities();
      Thread.sleep(60);
      assertTrue(source.next() >= first + 16 * 1024);
      assertEquals(1, counted);
      assertEquals(15, source.counters().dropped());
    }
  }

  @Test
  void what_it_has_of_a_pid_is_dropped_when_that_pid_is_in_doubt() throws Exception {
    for (int code : new int[] {ErrorCodes.PID_CONFLICT, ErrorCodes.STALE_STATE}) {
      try (Scripted first =
              Scripted.of(
                  peer -> {
                    peer.serve(1, 1, 1000, 1);
                    peer.request();
                    peer.error(code, "in doubt");
                  });
          Scripted second = Scripted.serving(2);
          Source source = source(patient(), first, second)) {
        for (int sequence = 1; sequence <= 8; sequence++) {
          assertEquals(identity(sequence, 1), source.next());
        }
        while (source.counters().refills() < 2) {
          Thread.sleep(1);
        }
        assertEquals(8, source.counters().dropped());
        assertEquals(identity(17, 2), source.next());
      }
    }
  }

  @Test
  void what_came_in_the_same_refill_of_a_pid_in_doubt_is_dropped() throws Exception {
    for (int code : new int[] {ErrorCodes.PID_CONFLICT, ErrorCodes.STALE_STATE}) {
      try (Scripted first =
              Scripted.of(
                  peer -> {
                    peer.hello();
                    // It asks for more than this server gives at once, so two requests follow.
                    assertEquals(16, peer.request().count());
                    peer.introduce("ipseity", 8, 1);
                    peer.error(ErrorCodes.BAD_COUNT, "count must be 1 to 8");
                    assertEquals(8, peer.request().count());
                    assertEquals(8, peer.request().count());
                    peer.identities(identity(1, 1), 8);
                    peer.error(code, "in doubt");
                  });
          Scripted second = Scripted.serving(2);
          Source source = source(patient(), first, second)) {
        assertEquals(2, Identity.pidOf(source.next()));
        assertEquals(8, source.counters().dropped());
      }
    }
  }

  @Test
  void after_another_error_what_it_has_is_still_good() throws Exception {
    try (Scripted first =
            Scripted.of(
                peer -> {
                  peer.serve(1, 1, 1000, 1);
                  peer.request();
                  peer.error(36, "stopping");
                });
        Scripted second = Scripted.serving(2);
        Source source = source(patient(), first, second)) {
      for (int sequence = 1; sequence <= 16; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
      }
      assertEquals(identity(17, 2), source.next());
      assertEquals(0, source.counters().dropped());
    }
  }

  @Test
  void a_refill_that_fails_is_an_error_for_those_who_wait_and_nobody_else() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch waiting = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.serve(1, 1, 1000, 1);
                  peer.request();
                  peer.error(ErrorCodes.BAD_COUNT, "not now");
                  peer.request();
                  asked.countDown();
                  waiting.await();
                  peer.error(33, "too far");
                  peer.serve(1, 100, 1000);
                });
        Source source = source(patient(), server)) {
      for (int sequence = 1; sequence <= 8; sequence++) {
        assertEquals(identity(sequence, 1), source.next());
      }
      // The refill ahead of need fails, and nobody waits for it. A later call begins another one.
      int sequence = 9;
      while (source.counters().requests() < 3 && sequence < 16) {
        assertEquals(identity(sequence++, 1), source.next());
        Thread.sleep(20);
      }
      asked.await();
      while (sequence <= 16) {
        assertEquals(identity(sequence++, 1), source.next());
      }
      Background<Long> one = Background.of(source::next);
      Background<Long> two = Background.of(source::next);
      while (source.counters().waits() < 3) {
        Thread.sleep(1);
      }
      waiting.countDown();
      RefusedException first = assertInstanceOf(RefusedException.class, one.failure());
      RefusedException second = assertInstanceOf(RefusedException.class, two.failure());
      assertEquals(33, first.code());
      assertNotSame(first, second);
      assertEquals(identity(100, 1), source.next());
    }
  }

  @Test
  void a_call_without_a_server_ends_in_its_time_and_says_why() throws Exception {
    Options options =
        new Options().replyTimeout(Duration.ofMillis(100)).callTimeout(Duration.ofMillis(300));
    try (Scripted frozen = Scripted.again(Peer::freeze);
        Source source = source(options, frozen)) {
      UnavailableException e = assertThrows(UnavailableException.class, source::next);
      assertEquals(ServerFailure.Reason.TIMEOUT, e.failures().get(0).reason());
    }
  }

  @Test
  void the_wrong_cluster_and_a_broken_protocol_are_told_to_every_caller() throws Exception {
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.hello();
                  peer.introduce("other", 1000, 1);
                  peer.freeze();
                },
                peer -> {
                  peer.hello();
                  peer.request();
                  peer.introduce("ipseity", 1000, 2);
                  peer.identities(1025, 16);
                  peer.freeze();
                });
        Source source = source(patient().cluster("ipseity"), server)) {
      assertThrows(WrongClusterException.class, source::next);
      ProtocolException e = assertThrows(ProtocolException.class, source::next);
      assertTrue(e.getMessage().contains("pid 1 came from the server of pid 2"), e.getMessage());
    }
  }

  @Test
  void an_interrupted_call_leaves_and_the_block_is_kept() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch left = new CountDownLatch(1);
    try (Scripted server =
            Scripted.of(
                peer -> {
                  peer.hello();
                  peer.request();
                  asked.countDown();
                  left.await();
                  peer.introduce("ipseity", 1000, 1);
                  peer.identities(1025, 16);
                  peer.freeze();
                });
        Source source = source(patient(), server)) {
      Background<Long> call = Background.of(source::next);
      asked.await();
      call.thread.interrupt();
      assertInstanceOf(InterruptedException.class, call.failure());
      left.countDown();
      assertEquals(1025, source.next());
      assertEquals(1, source.counters().refills());
    }
  }

  @Test
  void close_ends_those_who_wait_and_drops_what_is_left() throws Exception {
    try (Scripted server = Scripted.serving(1);
        Scripted frozen = Scripted.again(Peer::freeze)) {
      Source source = source(patient(), server);
      source.next();
      source.close();
      assertEquals(15, source.counters().dropped());
      assertThrows(ClosedException.class, source::next);
      Source waits = source(patient(), frozen);
      Background<Long> call = Background.of(waits::next);
      call.waits();
      waits.close();
      assertInstanceOf(ClosedException.class, call.failure());
    }
  }

  @Test
  void a_source_may_keep_a_block_of_one() throws Exception {
    try (Scripted server = Scripted.serving(1);
        Source source = source(patient().blockMax(1), server)) {
      long before = 0;
      for (int i = 0; i < 200; i++) {
        long identity = source.next();
        assertTrue(identity > before);
        before = identity;
      }
    }
  }
}
