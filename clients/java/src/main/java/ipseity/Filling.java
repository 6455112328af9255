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
  private final int countMaxGuess;
  private final List<Block> blocks = new ArrayList<>();
  private int got;
  private long countMax;

  /**
   * A refill that takes so many identities.
   *
   * @param countMaxGuess what the last server allowed for one request, since the next one may not
   *     have said it yet
   */
  Filling(int size, int countMaxGuess) {
    this.size = size;
    this.countMaxGuess = countMaxGuess;
  }

  /** What has come, in increasing order. */
  List<Block> blocks() {
    return blocks;
  }

  /** How many identities have come. */
  int got() {
    return got;
  }

  /** What the server allows for one request; 0 if it did not say. */
  int countMax() {
    return (int) Math.min(countMax, Integer.MAX_VALUE);
  }

  @Override
  public Trouble run(Connection connection, long deadline) throws InterruptedException {
    while (true) {
      countMax = connection.countMax();
      long each = countMax > 0 ? countMax : countMaxGuess;
      Trouble trouble = take(connection, each, deadline);
      countMax = connection.countMax();
      boolean wasTooMuch =
          trouble != null
              && trouble.kind() == Trouble.Kind.REFUSED
              && trouble.code() == ErrorCodes.BAD_COUNT
              && countMax > 0
              && countMax < each;
      if (!wasTooMuch) {
        return got > 0 ? null : trouble;
      }
      // The server has told its limit only in front of its refusal. Now it is known.
    }
  }

  /** Asks for what is missing, and waits for all of it. Returns the first trouble. */
  private Trouble take(Connection connection, long each, long deadline)
      throws InterruptedException {
    List<Call> list = new ArrayList<>();
    for (long missing = size - got; missing > 0; missing -= each) {
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
            return taken < 0 ? Trouble.TIME_OVER : Trouble.NOT_SENT;
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
