package ipseity;

/** Bytes that are not a frame that a client takes. The text says why. */
final class MalformedException extends Exception {
  private static final long serialVersionUID = 1L;

  MalformedException(String text) {
    super(text);
  }
}
