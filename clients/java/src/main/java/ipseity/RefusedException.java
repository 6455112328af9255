package ipseity;

/**
 * A server has refused this request, and another one would say the same. The request has to be
 * corrected.
 */
public final class RefusedException extends IpseityException {
  private static final long serialVersionUID = 1L;

  /** The server that has refused. */
  private final String server;

  /** What it has answered. */
  private final int code;

  RefusedException(String server, int code, String text) {
    super(
        server
            + " refused the request with "
            + ErrorCodes.inWords(code, text)
            + " ("
            + ErrorCodes.advice(code)
            + ")");
    this.server = server;
    this.code = code;
  }

  /**
   * The server that has refused it.
   *
   * @return its address, as in the list of servers
   */
  public String server() {
    return server;
  }

  /**
   * The code of its answer, such as 32 for {@code badCount} and 33 for {@code advanceTooLarge}. The
   * protocol lists them all.
   *
   * @return 0 to 65535
   */
  public int code() {
    return code;
  }

  private RefusedException(RefusedException cause) {
    super(cause.getMessage(), cause);
    server = cause.server;
    code = cause.code;
  }

  @Override
  RefusedException again() {
    return new RefusedException(this);
  }
}
