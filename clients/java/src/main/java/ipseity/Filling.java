package ipseity;

import java.util.ArrayList;
import java.util.List;

/**
 * One refill of a source: as many pipelined requests as it needs, each for as many identities as
 * the server allows. If something has come when the server fails, the refill was successful, only
 * smaller.
 */
final class Filling implements Pool.Task {
  private final int size;
  private final List<Block> blocks = new ArrayList<>();
  private int got;

  /** A refill that takes so many identities. */
  Filling(int size) {
    this.size = size;
  }

  /** What has come, in increasing order. */
  List<Block> blocks() {
    return blocks;
  }

  /** How many identities have come. */
  int got() {
    return got;
  }

  @Override
  public Trouble run(Connection connection, long deadline) throws InterruptedException {
    while (got < size) {
      long each = connection.countMax();
      boolean isNew = each == 0;
      if (isNew) {
        // What the server allows is not known before its helloReply. This much nearly every one
        // does.
        each = Limits.REFILL_FIRST;
      }
      long asked = isNew ? Math.min(each, size - got) : size - got;
      Trouble trouble = take(connection, asked, each, deadline);
      if (trouble != null && !wasTooMuch(trouble, connection.countMax(), each)) {
        return got > 0 ? null : trouble;
      }
    }
    return null;
  }

  /** Whether the server has told only now that it allows less than what was asked for. */
  private static boolean wasTooMuch(Trouble trouble, long countMax, long asked) {
    return trouble.kind() == Trouble.Kind.REFUSED
        && trouble.code() == ErrorCodes.BAD_COUNT
        && countMax > 0
        && countMax < asked;
  }

  /**
   * Asks for so many, at most {@code each} with one request, and waits for all of them. Returns the
   * first trouble.
   */
  private Trouble take(Connection connection, long asked, long each, long deadline)
      throws InterruptedException {
    List<Call> list = new ArrayList<>();
    for (long missing = asked; missing > 0; missing -= each) {
      list.add(new Call((int) Math.min(each, missing)));
    }
    Call[] calls = list.toArray(new Call[0]);
    try {
      Trouble trouble = null;
      int submitted = 0;
      int received = 0;
      while (received < calls.length && trouble == null) {
        if (submitted < calls.length) {
          int taken = connection.submit(calls, submitted, deadline);
          if (taken <= 0 && received == submitted) {
            return taken < 0 ? Trouble.TIME_OVER : connection.notSent();
          }
          submitted += Math.max(0, taken);
        }
        while (received < submitted && trouble == null) {
          Call call = calls[received];
          if (!connection.await(call, deadline)) {
            return Trouble.TIME_OVER;
          }
          trouble = call.trouble();
          if (trouble == null) {
            got += call.count;
            blocks.add(call.block());
          }
          received++;
        }
      }
      return trouble;
    } finally {
      for (Call call : calls) {
        call.abandon();
      }
    }
  }
}
