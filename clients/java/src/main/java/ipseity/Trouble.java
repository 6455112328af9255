package ipseity;

/**
 * Why a request got no identities. It is a value, because one trouble may end many calls, and each
 * of them then throws an exception of its own.
 */
record Trouble(Kind kind, String server, ServerFailure failure, int code, String text) {
  /** What a call does about it. */
  enum Kind {
    /** The server failed: the next one is tried. */
    FAILED,
    /** The connection was closed while it was idle: it is made again. */
    LOST,
    /** The request was not written, because the connection ended before: another one is made. */
    NOT_SENT,
    /** The time of the call is over. */
    TIME_OVER,
    /** The server refused the request. */
    REFUSED,
    /** The server is of another cluster. */
    WRONG_CLUSTER,
    /** The server broke the protocol. */
    PROTOCOL,
    /** The client was closed. */
    CLOSED
  }

  static final Trouble NOT_SENT = new Trouble(Kind.NOT_SENT, "", null, 0, "");
  static final Trouble TIME_OVER = new Trouble(Kind.TIME_OVER, "", null, 0, "");
  static final Trouble CLOSED = new Trouble(Kind.CLOSED, "", null, 0, "");

  static Trouble failed(ServerAddress server, ServerFailure.Reason reason, int code, String text) {
    String name = server.toString();
    return new Trouble(Kind.FAILED, name, new ServerFailure(name, reason, code, text), code, text);
  }

  static Trouble failed(ServerAddress server, ServerFailure.Reason reason, String text) {
    return failed(server, reason, 0, text);
  }

  static Trouble lost(ServerAddress server) {
    return new Trouble(
        Kind.LOST,
        server.toString(),
        new ServerFailure(
            server.toString(),
            ServerFailure.Reason.CLOSED,
            0,
            "the server closed the connection without a reply"),
        0,
        "");
  }

  static Trouble protocol(ServerAddress server, String text) {
    return new Trouble(Kind.PROTOCOL, server.toString(), null, 0, text);
  }

  static Trouble wrongCluster(ServerAddress server, String text) {
    return new Trouble(
        Kind.WRONG_CLUSTER, server.toString(), null, ErrorCodes.FOREIGN_CLUSTER, text);
  }

  static Trouble refused(ServerAddress server, int code, String text) {
    return new Trouble(Kind.REFUSED, server.toString(), null, code, text);
  }

  /** The exception that ends a call with this trouble. */
  IpseityException exception() {
    return switch (kind) {
      case REFUSED -> new RefusedException(server, code, text);
      case WRONG_CLUSTER -> new WrongClusterException(server, text);
      case PROTOCOL -> new ProtocolException(server, text);
      case CLOSED -> new ClosedException();
      case FAILED, LOST, NOT_SENT, TIME_OVER ->
          throw new IllegalStateException(kind + " does not end a call");
    };
  }
}
