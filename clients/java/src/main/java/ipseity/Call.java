package ipseity;

import java.util.concurrent.locks.LockSupport;

/**
 * One request and the thread that waits for its reply. The reply is always read by the thread that
 * owns the connection. A caller that does not wait any longer only leaves, so the replies of others
 * stay in their places.
 */
final class Call {
  final int count;

  /** What the request asked to be greater than. Set when it is written. */
  long after;

  /** When the request was written, by {@link System#nanoTime}. */
  volatile long writtenAt;

  private final Thread waiter = Thread.currentThread();
  private Block block;
  private Trouble trouble;
  private volatile boolean done;
  private volatile boolean abandoned;

  Call(int count) {
    this.count = count;
  }

  /** Nobody waits for the reply any more. If it comes, it is thrown away. */
  void abandon() {
    abandoned = true;
  }

  boolean isAbandoned() {
    return abandoned;
  }

  /** Lets the waiting thread look at the time again. */
  void wake() {
    LockSupport.unpark(waiter);
  }

  /** The reply is there. */
  void complete(Block reply) {
    block = reply;
    done = true;
    LockSupport.unpark(waiter);
  }

  /** There will be no reply. */
  void complete(Trouble why) {
    trouble = why;
    done = true;
    LockSupport.unpark(waiter);
  }

  boolean isDone() {
    return done;
  }

  /** The reply, or null. It may be asked for once this call is done. */
  Block block() {
    return block;
  }

  /** Why there is no reply, or null. It may be asked for once this call is done. */
  Trouble trouble() {
    return trouble;
  }
}
