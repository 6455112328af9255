package ipseity;

/** The client or the source was closed before the call, or during it. */
public final class ClosedException extends IpseityException {
  private static final long serialVersionUID = 1L;

  ClosedException() {
    super("the client or source was closed (make a new one to go on)");
  }

  @Override
  ClosedException again() {
    return new ClosedException();
  }
}
