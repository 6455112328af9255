package ipseity;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import javax.net.ssl.SSLContext;

/**
 * Does what the conformance kit tells it: commands on standard input, answers on standard output.
 */
public final class Adapter {
  private final Map<String, Taker> takers = new HashMap<>();
  private final Map<String, Load> loads = new HashMap<>();
  private final Map<String, Started> started = new HashMap<>();

  private Adapter() {}

  /** A call that goes on while other commands are answered. */
  private record Started(FutureTask<Object> task, Thread thread) {}

  /**
   * Reads commands until there are no more.
   *
   * @param arguments none
   * @throws IOException if standard input cannot be read
   */
  public static void main(String[] arguments) throws IOException {
    WarmUp.run();
    Adapter adapter = new Adapter();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Map<String, Object> command = Json.readObject(line);
      Map<String, Object> answer = new LinkedHashMap<>();
      answer.put("id", command.get("id"));
      answer.putAll(adapter.answer(command));
      System.out.println(Json.write(answer));
      if ("exit".equals(command.get("do"))) {
        break;
      }
    }
    adapter.takers.values().forEach(Taker::close);
  }

  private Map<String, Object> answer(Map<String, Object> command) {
    if ("in_fork".equals(command.get("do"))) {
      return Map.of("unsupported", "a Java process does not fork");
    }
    try {
      // The answer may be null.
      return Collections.singletonMap("ok", run(command));
    } catch (IpseityException | MalformedException | InterruptedException e) {
      return Map.of("error", Answers.error(e));
    }
  }

  private Object run(Map<String, Object> command) throws MalformedException, InterruptedException {
    String what = text(command, "do");
    return switch (what) {
      case "exit" -> Map.of();
      case "identity" -> Answers.identity(Identity.parse(text(command, "text")));
      case "base32" -> Answers.identity(Identity.parseBase32(text(command, "text")));
      case "address" -> Answers.address(ServerAddress.parse(text(command, "text")));
      case "encode" -> encode(object(command, "message"));
      case "decode" -> decode(text(command, "bytes"));
      case "code" -> Answers.code(number(command, "code"));
      case "open" -> open(command);
      case "start" -> start(text(command, "call"), object(command, "command"));
      case "wait" -> await(started.remove(text(command, "call")));
      case "cancel" -> {
        started.get(text(command, "call")).thread.interrupt();
        yield Map.of();
      }
      case "load" -> {
        String of = text(command, "of");
        loads.put(
            of,
            new Load(
                takers.get(of),
                number(command, "workers"),
                text(command, "path"),
                number(command, "portion")));
        yield Map.of();
      }
      case "unload" -> loads.remove(text(command, "of")).unload();
      default -> runOn(takers.get(text(command, "of")), what, command);
    };
  }

  private static Object runOn(Taker taker, String what, Map<String, Object> command)
      throws InterruptedException {
    switch (what) {
      case "next" -> {
        return Map.of("identity", Long.toString(taker.next()));
      }
      case "block" -> {
        Block block = taker.client().block(number(command, "count"));
        return Map.of("first", Long.toString(block.first()), "count", block.count());
      }
      case "observe" -> taker.observe(Identity.parse(text(command, "identity")).value());
      case "newest" -> {
        OptionalLong newest = taker.newest();
        return newest.isPresent() ? Map.of("identity", Long.toString(newest.getAsLong())) : null;
      }
      case "counters" -> {
        return Answers.counters(taker.counters());
      }
      case "hooks" -> {
        return Answers.hooks(taker.hooks());
      }
      case "close" -> taker.close();
      default -> throw new IllegalArgumentException("no command is called " + what);
    }
    return Map.of();
  }

  private static Object encode(Map<String, Object> message) {
    byte[] bytes;
    if (text(message, "kind").equals("helloRequest")) {
      bytes = Frames.helloRequest(text(message, "cluster"));
    } else {
      ByteBuffer out = ByteBuffer.allocate(Frames.IDENTITY_REQUEST_BYTES);
      long after = Long.parseUnsignedLong(text(message, "after"));
      Frames.putIdentityRequest(out, (int) (long) (Long) message.get("count"), after);
      bytes = out.array();
    }
    return Map.of("bytes", HexFormat.of().formatHex(bytes));
  }

  private static Object decode(String hex) throws MalformedException {
    ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
    Message message = Frames.next(bytes);
    if (message == null) {
      throw new MalformedException("the frame is not complete");
    }
    if (bytes.hasRemaining()) {
      throw new MalformedException(bytes.remaining() + " bytes follow the frame");
    }
    return Answers.message(message);
  }

  private Object open(Map<String, Object> command) {
    Map<String, Object> given = object(command, "options");
    List<String> servers =
        ((List<?>) command.get("servers")).stream().map(Object::toString).toList();
    HookCounts hooks = new HookCounts();
    Options options = hooks.on(options(given));
    Taker taker =
        text(command, "kind").equals("source")
            ? new Taker(null, Source.open(servers, options), hooks)
            : new Taker(Client.open(servers, options), null, hooks);
    String handle = Integer.toString(takers.size() + 1);
    takers.put(handle, taker);
    return Map.of("handle", handle);
  }

  private static Options options(Map<String, Object> given) {
    Options options = new Options();
    for (String name : given.keySet()) {
      options =
          switch (name) {
            case "cluster" -> options.cluster(text(given, name));
            case "connect_timeout_ms" -> options.connectTimeout(millis(given, name));
            case "reply_timeout_ms" -> options.replyTimeout(millis(given, name));
            case "call_timeout_ms" -> options.callTimeout(millis(given, name));
            case "idle_max_ms" -> options.idleMax(millis(given, name));
            case "block_age_max_ms" -> options.blockAgeMax(millis(given, name));
            case "block_max" -> options.blockMax(number(given, name));
            case "first" -> options.first(number(given, name));
            case "tls" -> options.tls(tls(object(given, name)));
            default -> throw new IllegalArgumentException("no option is called " + name);
          };
    }
    return options;
  }

  private static SSLContext tls(Map<String, Object> files) {
    Path ca = Path.of(text(files, "ca"));
    if (!files.containsKey("cert")) {
      return Tls.context(ca);
    }
    return Tls.context(ca, Path.of(text(files, "cert")), Path.of(text(files, "key")));
  }

  private Object start(String call, Map<String, Object> command) throws InterruptedException {
    FutureTask<Object> task = new FutureTask<>(() -> run(command));
    Thread thread = new Thread(task, "call-" + call);
    started.put(call, new Started(task, thread));
    thread.start();
    // Calls begin in the order of their commands. This one has, once it waits for something.
    while (thread.getState() == Thread.State.NEW || thread.getState() == Thread.State.RUNNABLE) {
      Thread.sleep(1);
    }
    return Map.of();
  }

  private static Object await(Started call) throws MalformedException, InterruptedException {
    try {
      return call.task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IpseityException known) {
        throw known;
      }
      if (e.getCause() instanceof InterruptedException) {
        throw new InterruptedException();
      }
      throw new IllegalStateException("a mistake of the adapter", e);
    }
  }

  private static Duration millis(Map<String, Object> object, String name) {
    return Duration.ofMillis((Long) object.get(name));
  }

  private static int number(Map<String, Object> object, String name) {
    return Math.toIntExact((Long) object.get(name));
  }

  private static String text(Map<String, Object> object, String name) {
    return (String) object.get(name);
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> object(Map<String, Object> object, String name) {
    Object value = object.get(name);
    return value == null ? Map.of() : (Map<String, Object>) value;
  }
}
