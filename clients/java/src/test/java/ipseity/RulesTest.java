package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The rules that need no connection: codes, the order of servers, the size of refills, options. */
class RulesTest {
  private static final long SECOND = 1_000_000_000;
  private static final boolean[] NONE = new boolean[3];

  private static ServerFailure failure(String server) {
    return new ServerFailure(server, ServerFailure.Reason.CLOSED, 0, "gone");
  }

  @Test
  void every_code_has_one_action_and_closes_by_its_range() {
    Set<Integer> elsewhere = Set.of(5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43);
    for (int code = 0; code < 300; code++) {
      ErrorCodes.Action expected =
          elsewhere.contains(code)
              ? ErrorCodes.Action.ELSEWHERE
              : code == 64 ? ErrorCodes.Action.WRONG_CLUSTER : ErrorCodes.Action.REFUSED;
      assertEquals(expected, ErrorCodes.action(code), "code " + code);
      assertEquals(code < 32 || code >= 64, ErrorCodes.closes(code), "code " + code);
      assertEquals(Set.of(6, 7, 8, 34).contains(code), ErrorCodes.lasts(code), "code " + code);
    }
  }

  @Test
  void a_server_that_failed_is_avoided_for_longer_and_longer() {
    Servers servers =
        new Servers(
            List.of(ServerAddress.parse("a"), ServerAddress.parse("b"), ServerAddress.parse("c")),
            1);
    assertEquals(1, servers.next(NONE, 0).place);
    Servers.Server b = servers.get(1);
    long now = 0;
    for (long seconds : new long[] {1, 2, 4, 8, 16, 30, 30}) {
      servers.failed(b, failure("b"), now);
      servers.answered(servers.get(0));
      boolean[] others = {true, false, true};
      assertSame(b, servers.next(others, now), "it is tried if there is no other");
      boolean[] first = {true, false, false};
      assertEquals(2, servers.next(first, now + seconds * SECOND - 1).place);
      assertEquals(1, servers.next(first, now + seconds * SECOND).place);
      now += seconds * SECOND;
    }
    servers.answered(b);
    assertNull(b.last());
    servers.failed(b, failure("b"), now);
    servers.answered(servers.get(0));
    boolean[] first = {true, false, false};
    assertEquals(2, servers.next(first, now + SECOND - 1).place);
    assertEquals(1, servers.next(first, now + SECOND).place, "an answer ends the row");
  }

  @Test
  void avoided_servers_come_last_and_the_soonest_first() {
    Servers servers =
        new Servers(
            List.of(ServerAddress.parse("a"), ServerAddress.parse("b"), ServerAddress.parse("c")),
            0);
    servers.failed(servers.get(0), failure("a"), 10);
    assertEquals(1, servers.next(NONE, 11).place);
    servers.failed(servers.get(1), failure("b"), 5);
    assertEquals(2, servers.next(NONE, 11).place);
    servers.failed(servers.get(2), failure("c"), 11);
    assertEquals(1, servers.next(NONE, 12).place);
    assertNull(servers.next(new boolean[] {true, true, true}, 12));
  }

  @Test
  void a_refill_is_as_large_as_the_demand() {
    Pace pace = new Pace(100);
    int[][] sizes = {
      {0, 16},
      {99, 32},
      {198, 64},
      {199, 100},
      {299, 100},
      {1299, 100},
      {2300, 50},
      {3301, 25},
      {4302, 16},
      {5303, 16}
    };
    for (int[] step : sizes) {
      long now = step[0] * 1_000_000L;
      assertEquals(step[1], pace.next(now, 0), "after " + step[0] + " ms");
      // What fails in between changes nothing.
      assertEquals(step[1], pace.next(now, 0));
      pace.succeeded(now, step[1], 0);
    }
    // What was dropped was not used.
    assertEquals(16, pace.next(5303_000_000L, 5));
    assertEquals(32, pace.next(5303_000_000L, 0));
    assertEquals(1, new Pace(1).next(0, 0));
  }

  @Test
  void options_are_checked_and_never_change() {
    Options options = new Options();
    assertThrows(ConfigurationException.class, () -> options.cluster(""));
    assertThrows(ConfigurationException.class, () -> options.cluster("a\nb"));
    assertThrows(ConfigurationException.class, () -> options.cluster("x".repeat(256)));
    assertThrows(ConfigurationException.class, () -> options.callTimeout(Duration.ZERO));
    assertThrows(ConfigurationException.class, () -> options.idleMax(Duration.ofDays(25)));
    assertThrows(ConfigurationException.class, () -> options.replyTimeout(Duration.ofMillis(-1)));
    assertThrows(ConfigurationException.class, () -> options.blockMax(0));
    assertThrows(ConfigurationException.class, () -> options.blockMax((1 << 24) + 1));
    Options changed = options.cluster("a").blockMax(7);
    assertEquals("", options.cluster);
    assertEquals(7, changed.connectTimeout(Duration.ofMillis(5)).blockMax);
    assertThrows(ConfigurationException.class, () -> Client.open());
    assertThrows(ConfigurationException.class, () -> Source.open("host:0"));
  }

  @Test
  void the_addresses_of_a_name_take_turns_by_family() throws UnknownHostException {
    InetAddress[] addresses = {
      InetAddress.getByName("::1"),
      InetAddress.getByName("::2"),
      InetAddress.getByName("127.0.0.1"),
      InetAddress.getByName("::3")
    };
    List<InetAddress> order = Lookup.interleaved(addresses);
    assertEquals(List.of(addresses[0], addresses[2], addresses[1], addresses[3]), order);
    assertEquals(List.of(), Lookup.interleaved(new InetAddress[0]));
  }

  @Test
  void what_came_from_elsewhere_stays_in_its_line() {
    assertEquals("Grüße \"1\" \\", Plain.text("Grüße \"1\" \\"));
    assertEquals("a\\nb\\u{1b}\\u{202e}", Plain.text("a\nb\u001b\u202e"));
    assertTrue(Plain.isPlain(' '));
    assertFalse(Plain.isPlain(0x2028));
  }
}
