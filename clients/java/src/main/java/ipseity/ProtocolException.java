package ipseity;

/**
 * A server broke the protocol, and nothing of its reply was used. Check that it is an Ipseity
 * server, and its version.
 */
public final class ProtocolException extends IpseityException {
  private static final long serialVersionUID = 1L;

  /** The server that broke it. */
  private final String server;

  ProtocolException(String server, String text) {
    super(
        server
            + " breaks the protocol: "
            + text
            + " (check that it is an Ipseity server, and its version)");
    this.server = server;
  }

  /**
   * The server that broke it.
   *
   * @return its address, as in the list of servers
   */
  public String server() {
    return server;
  }

  private ProtocolException(ProtocolException cause) {
    super(cause.getMessage(), cause);
    server = cause.server;
  }

  @Override
  ProtocolException again() {
    return new ProtocolException(this);
  }
}
