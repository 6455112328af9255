package ipseity;

/**
 * What happened at a server that gave no answer.
 *
 * @param server its address, as in the list of servers
 * @param reason what kind of failure it was
 * @param code the code of the server's answer if the reason is {@link Reason#REFUSED}, and
 *     otherwise 0
 * @param cause what happened, in words
 */
public record ServerFailure(String server, Reason reason, int code, String cause) {
  /** The kinds of failures. A later version may have more. */
  public enum Reason {
    /** Its name could not be looked up. */
    LOOKUP,
    /** None of its addresses accepted a connection in time. */
    CONNECT,
    /** Its reply did not come in time. */
    TIMEOUT,
    /** It closed the connection before the reply was complete. */
    CLOSED,
    /** The connection failed in another way. */
    BROKEN,
    /** There is no TLS with it, or it wants TLS. */
    TLS,
    /** A certificate is not accepted: that of the server, or that of the client. */
    CERTIFICATE,
    /** It answered that it cannot serve now. The code says why. */
    REFUSED,
    /** The time of the call was over before it was asked. */
    NOT_ASKED
  }

  /** Whether another answer may come from it a moment later. */
  boolean mayPass() {
    return switch (reason) {
      case CERTIFICATE -> false;
      case REFUSED -> !ErrorCodes.lasts(code);
      default -> true;
    };
  }

  /** The server and the cause, in one line. */
  @Override
  public String toString() {
    return server + ": " + cause;
  }
}
