package ipseity;

/**
 * The server is of another cluster than the client was told. None of its identities was used.
 * Correct the list of servers, or the name of the cluster.
 */
public final class WrongClusterException extends IpseityException {
  private static final long serialVersionUID = 1L;

  /** The server of the other cluster. */
  private final String server;

  WrongClusterException(String server, String text) {
    super(
        server
            + " is of another cluster: "
            + Plain.text(text)
            + " (correct the list of servers, or the name of the cluster)");
    this.server = server;
  }

  /**
   * The server of the other cluster.
   *
   * @return its address, as in the list of servers
   */
  public String server() {
    return server;
  }

  private WrongClusterException(WrongClusterException cause) {
    super(cause.getMessage(), cause);
    server = cause.server;
  }

  @Override
  WrongClusterException again() {
    return new WrongClusterException(this);
  }
}
