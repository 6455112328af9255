package ipseity;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * What comes on one connection: it finds out to whom each reply belongs, and whether it keeps what
 * the protocol promises. It knows no socket and no clock.
 *
 * <p>Replies come in the order of their requests and do not say which one they answer. So every
 * call keeps its place here until its reply has come, whether somebody still waits for it or not.
 */
final class Replies {
  /** The connection, as far as this concerns it. */
  interface Line {
    /** A call has its answer, which is not handed over yet. */
    void answered(boolean isFirst);

    /** The server will say nothing more. */
    void lastWord();

    /** What has come from this pid is in doubt. */
    void inDoubt(int pid);
  }

  private final Servers.Server server;
  private final String cluster;
  private final Tally tally;
  private final Line line;

  /** The calls without a reply, in the order of their requests. */
  private final Queue<Call> awaited = new ConcurrentLinkedQueue<>();

  private volatile boolean helloIsAwaited;
  private volatile boolean isUsed;
  private volatile int pid = -1;
  private volatile long countMax;

  /** The greatest identity that has come here. */
  private long greatest;

  /**
   * For a connection to this server, which should be of this cluster, or of any if that is empty.
   */
  Replies(Servers.Server server, String cluster, Tally tally, Line line) {
    this.server = server;
    this.cluster = cluster;
    this.tally = tally;
    this.line = line;
  }

  /** A helloRequest is about to be written. */
  void expectHello() {
    helloIsAwaited = true;
  }

  /** The request of this call is about to be written. */
  void expect(Call call) {
    awaited.add(call);
  }

  /** The call whose reply comes next; null if there is none. */
  Call due() {
    return awaited.peek();
  }

  /** Takes the call in front away, without a reply; null if there is none. */
  Call giveUp() {
    return awaited.poll();
  }

  /** Whether a call has been answered here. */
  boolean isUsed() {
    return isUsed;
  }

  /** How many identities one request may ask for; 0 as long as it is not known. */
  long countMax() {
    return countMax;
  }

  /**
   * Takes what has come. Returns null if the connection goes on, and otherwise what the calls on it
   * are to be told.
   *
   * @throws MalformedException if the server has broken the protocol
   */
  Trouble take(Message message) throws MalformedException {
    if (message instanceof Message.IdentityReply reply) {
      return take(reply);
    }
    if (message instanceof Message.HelloReply reply) {
      return take(reply);
    }
    return take((Message.ErrorReply) message);
  }

  /**
   * Takes what had begun to come before anything was asked. Only the last word of the server may.
   *
   * @throws MalformedException if the server has broken the protocol
   */
  Trouble takeUnasked(Message message) throws MalformedException {
    if (message instanceof Message.ErrorReply reply) {
      return unasked(reply, ErrorCodes.closes(reply.code()));
    }
    throw new MalformedException("a reply came, and nothing had asked for it");
  }

  private Trouble take(Message.IdentityReply reply) throws MalformedException {
    if (helloIsAwaited) {
      throw new MalformedException("identityReply came instead of helloReply");
    }
    Call call = awaited.peek();
    if (call == null) {
      throw new MalformedException("identityReply came, and nothing had asked for it");
    }
    if (reply.count() != call.count) {
      throw new MalformedException(
          "asked for " + call.count + " identities, " + reply.count() + " came");
    }
    if (reply.count() == 0 || !Block.exists(reply.first(), reply.count())) {
      throw new MalformedException(
          reply.count()
              + " identities from "
              + Long.toUnsignedString(reply.first())
              + " on do not exist");
    }
    long before = Math.max(call.after, greatest);
    if (reply.first() <= before) {
      throw new MalformedException(
          "identity "
              + reply.first()
              + " is not greater than "
              + before
              + ", which is known already");
    }
    int now = Identity.pidOf(reply.first());
    if (pid >= 0 && pid != now) {
      throw new MalformedException(
          "identities of pid " + now + " came from the server of pid " + pid);
    }
    Block block = new Block(reply.first(), call.count);
    know(now);
    greatest = block.last();
    tally.see(greatest);
    answered();
    call.complete(block);
    return null;
  }

  private Trouble take(Message.HelloReply reply) throws MalformedException {
    if (!helloIsAwaited) {
      throw new MalformedException("helloReply came, and nothing had asked for it");
    }
    helloIsAwaited = false;
    if (!cluster.isEmpty() && !cluster.equals(reply.cluster())) {
      return Trouble.wrongCluster(
          server.address,
          "this server is of cluster "
              + Plain.quoted(reply.cluster())
              + ", and the client expects "
              + Plain.quoted(cluster));
    }
    if (reply.countMax() == 0) {
      throw new MalformedException("helloReply came with a countMax of 0");
    }
    know(reply.pid());
    countMax = reply.countMax();
    return null;
  }

  private Trouble take(Message.ErrorReply reply) throws MalformedException {
    boolean answersHello = helloIsAwaited;
    helloIsAwaited = false;
    Call call = awaited.peek();
    boolean closes = ErrorCodes.closes(reply.code());
    if (call == null) {
      return unasked(reply, closes);
    }
    return switch (ErrorCodes.action(reply.code())) {
      case ELSEWHERE -> elsewhere(reply);
      case WRONG_CLUSTER -> Trouble.wrongCluster(server.address, reply.text());
      case REFUSED -> {
        boolean isOver = closes || answersHello;
        if (isOver) {
          // Before its caller can ask again, and find this connection.
          line.lastWord();
        }
        answered();
        call.complete(Trouble.refused(server.address, reply.code(), reply.text()));
        yield isOver ? Trouble.lost(server.address) : null;
      }
    };
  }

  /** An errorReply that nobody had asked for may only be the last word of the server. */
  private Trouble unasked(Message.ErrorReply reply, boolean closes) throws MalformedException {
    if (!closes) {
      throw new MalformedException(
          "errorReply came, and nothing had asked for it: "
              + ErrorCodes.inWords(reply.code(), reply.text()));
    }
    boolean failed = ErrorCodes.action(reply.code()) == ErrorCodes.Action.ELSEWHERE && !isUsed;
    return failed ? elsewhere(reply) : Trouble.lost(server.address);
  }

  private Trouble elsewhere(Message.ErrorReply reply) {
    if (reply.code() == ErrorCodes.PID_CONFLICT || reply.code() == ErrorCodes.STALE_STATE) {
      int doubtful = pid >= 0 ? pid : server.pid;
      if (doubtful >= 0) {
        line.inDoubt(doubtful);
      }
    }
    return Trouble.failed(
        server.address,
        ServerFailure.Reason.REFUSED,
        reply.code(),
        "refused with " + ErrorCodes.inWords(reply.code(), reply.text()));
  }

  private void know(int now) {
    if (pid != now) {
      pid = now;
      server.pid = now;
    }
  }

  /** The call in front has its answer. */
  private void answered() {
    boolean isFirst = !isUsed;
    isUsed = true;
    awaited.poll();
    line.answered(isFirst);
  }
}
