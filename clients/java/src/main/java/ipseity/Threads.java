package ipseity;

/** The threads of this library. They are daemons: a program can end while they wait. */
final class Threads {
  /** The size of the stack: that of the virtual machine. */
  private static final long STACK_DEFAULT = 0;

  private Threads() {}

  /** A thread that inherits nothing from the one that happens to make it. */
  static Thread daemon(String name, Runnable work) {
    Thread thread = new Thread(null, work, name, STACK_DEFAULT, false);
    thread.setDaemon(true);
    return thread;
  }
}
