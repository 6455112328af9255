package ipseity;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the adapter answers. */
final class Answers {
  private Answers() {}

  static Map<String, Object> identity(Identity identity) {
    Map<String, Object> forms = new LinkedHashMap<>();
    forms.put("decimal", identity.decimal());
    forms.put("hex", identity.hex());
    forms.put("pair", identity.pair());
    forms.put("base32", identity.base32());
    forms.put("sequence", Long.toString(identity.sequence()));
    forms.put("pid", identity.pid());
    return forms;
  }

  static Map<String, Object> address(ServerAddress address) {
    return Map.of("host", address.host(), "port", address.port(), "tls", address.tls());
  }

  static Map<String, Object> message(Message message) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("kind", message.kind());
    if (message instanceof Message.IdentityReply reply) {
      fields.put("first", Long.toUnsignedString(reply.first()));
      fields.put("count", reply.count());
    } else if (message instanceof Message.HelloReply reply) {
      fields.put("cluster", reply.cluster());
      fields.put("version", reply.version());
      fields.put("wireVersion", reply.wireVersion());
      fields.put("countMax", reply.countMax());
      fields.put("pid", reply.pid());
      fields.put("standing", reply.standing());
    } else if (message instanceof Message.ErrorReply reply) {
      fields.put("code", reply.code());
      fields.put("message", reply.text());
    }
    return fields;
  }

  static Map<String, Object> code(int code) {
    String action =
        switch (ErrorCodes.action(code)) {
          case ELSEWHERE -> "elsewhere";
          case REFUSED -> "refused";
          case WRONG_CLUSTER -> "wrongCluster";
        };
    return Map.of("action", action, "closes", ErrorCodes.closes(code));
  }

  static Map<String, Object> counters(Counters counters) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("requests", counters.requests());
    all.put("identities", counters.identities());
    all.put("connects", counters.connects());
    all.put("failures", counters.failures());
    all.put("refills", counters.refills());
    all.put("waits", counters.waits());
    all.put("dropped", counters.dropped());
    return all;
  }

  static Map<String, Object> hooks(HookCounts hooks) {
    return Map.of(
        "connect", hooks.connect.get(),
        "failover", hooks.failover.get(),
        "refill", hooks.refill.get());
  }

  /** The error, by its class. */
  static Map<String, Object> error(Exception e) {
    Map<String, Object> error = new LinkedHashMap<>();
    error.put("class", className(e));
    error.put("message", String.valueOf(e.getMessage()));
    if (e instanceof RefusedException refused) {
      error.put("code", refused.code());
    }
    if (e instanceof UnavailableException unavailable) {
      List<Map<String, String>> failures =
          unavailable.failures().stream()
              .map(failure -> Map.of("server", failure.server(), "cause", failure.cause()))
              .toList();
      error.put("failures", failures);
    }
    return error;
  }

  static String className(Exception e) {
    if (e instanceof ConfigurationException) {
      return "configuration";
    } else if (e instanceof UnavailableException) {
      return "unavailable";
    } else if (e instanceof RefusedException) {
      return "refused";
    } else if (e instanceof WrongClusterException) {
      return "wrongCluster";
    } else if (e instanceof ProtocolException || e instanceof MalformedException) {
      return "protocol";
    } else if (e instanceof ClosedException) {
      return "closed";
    } else if (e instanceof InterruptedException) {
      return "cancelled";
    }
    throw new IllegalArgumentException("a mistake of the adapter", e);
  }
}
