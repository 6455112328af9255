package ipseity;

/**
 * Why a call gave no identity. There is one class for each thing that a caller can do something
 * about.
 *
 * <p>A call whose thread is interrupted ends with {@link InterruptedException} and not with one of
 * these.
 */
public abstract class IpseityException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  IpseityException(String message, Throwable cause) {
    super(message, cause);
  }

  IpseityException(String message) {
    super(message);
  }

  /**
   * The same error for another call that it ends too, with a stack trace of its own. This one is
   * its cause.
   */
  abstract IpseityException again();
}
