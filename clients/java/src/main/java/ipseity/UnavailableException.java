package ipseity;

import java.util.List;
import java.util.stream.Collectors;

/**
 * No server answered in time. To ask again is safe: identities of a lost reply are skipped, never
 * repeated. Try again later, and look at the servers.
 */
public final class UnavailableException extends IpseityException {
  private static final long serialVersionUID = 1L;

  /** Not sent along where the exception is serialized; the message has it all. */
  private final transient List<ServerFailure> failures;

  UnavailableException(List<ServerFailure> failures) {
    super(message(failures));
    this.failures = List.copyOf(failures);
  }

  private static String message(List<ServerFailure> failures) {
    boolean isOne = failures.size() == 1;
    String before = isOne ? "" : "none of " + failures.size() + " servers answered: ";
    String behind =
        " (try again later; if it goes on, look at the " + (isOne ? "server)" : "servers)");
    return failures.stream()
        .map(ServerFailure::toString)
        .collect(Collectors.joining("; ", before, behind));
  }

  /**
   * What happened at each server.
   *
   * @return one for each server, in the order in which they were given to the client
   */
  public List<ServerFailure> failures() {
    return failures == null ? List.of() : failures;
  }

  @Override
  UnavailableException again() {
    UnavailableException again = new UnavailableException(failures());
    again.initCause(this);
    return again;
  }
}
