package ipseity;

/** Calls what a program has given to be called. */
final class Hooks {
  private Hooks() {}

  /** Calls a hook. What it throws is ignored: a mistake in it must not cost anybody an identity. */
  static void call(Runnable hook) {
    try {
      hook.run();
    } catch (RuntimeException e) {
      // As the documentation of the hooks says.
    }
  }
}
