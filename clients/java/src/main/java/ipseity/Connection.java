package ipseity;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLContext;

/**
 * One connection to one server. A daemon thread owns it: that thread connects, and reads all
 * replies. Callers write their requests in turn and wait for their own reply. They never read, so
 * one of them can leave at any time, and the replies of the others stay in order.
 *
 * <p>No caller waits for the network while it holds the lock: at most {@link Limits#IN_FLIGHT_MAX}
 * requests are under way, and they fit the buffers of the socket.
 */
final class Connection implements Runnable, Replies.Line {
  /**
   * Who made the connection, and wants to know how it does. Its methods are called without locks.
   */
  interface Owner {
    void connected(Connection connection);

    void answered(Connection connection);

    /** The connection has ended. Called before the calls that wait on it are told. */
    void ended(Connection connection, Trouble trouble);

    /** What has come from this pid is in doubt. */
    void inDoubt(int pid);
  }

  private enum State {
    CONNECTING,
    OPEN,
    DEAD
  }

  private static final byte[] NO_HELLO = {};

  final Servers.Server server;
  private final Options options;
  private final SSLContext tls;
  private final Tally tally;
  private final Owner owner;
  private final long connectDeadline;
  private final Dialer dialer;
  private final byte[] hello;
  private final Replies replies;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition room = lock.newCondition();
  private volatile State state = State.CONNECTING;

  /** Nothing more is written here, and the owning thread is about to end the connection. */
  private volatile boolean broken;

  /** Why the connection ends; null as long as it goes on. */
  private final AtomicReference<Trouble> ending = new AtomicReference<>();

  private OutputStream out;
  private boolean helloIsOwed;

  private final AtomicInteger inFlight = new AtomicInteger();
  private volatile int waitForRoom;
  private volatile long lastReplyAt;
  private volatile long lastUsedAt;
  private volatile RawSocket raw;
  private volatile Socket socket;

  // Of the owning thread.
  private InputStream in;
  private ByteBuffer buffer;

  /** Whether the next frame had begun to come before anything was asked. */
  private boolean isStray;

  Connection(
      Servers.Server server,
      Options options,
      boolean greets,
      SSLContext tls,
      Tally tally,
      Owner owner) {
    this.server = server;
    this.options = options;
    this.tls = tls;
    this.tally = tally;
    this.owner = owner;
    connectDeadline = Clock.now() + options.connectTimeout;
    dialer = new Dialer(server.address, options.connectTimeout, connectDeadline);
    replies = new Replies(server, options.cluster, tally, this);
    hello = greets ? Frames.helloRequest(options.cluster) : NO_HELLO;
  }

  /**
   * Why a request was not written here. If the connection could not even be made, that was a try of
   * the server.
   */
  Trouble notSent() {
    Trouble trouble = ending.get();
    boolean wasTry = trouble != null && trouble.kind() == Trouble.Kind.FAILED && !replies.isUsed();
    return wasTry ? trouble : Trouble.NOT_SENT;
  }

  /** Whether no call waits for a reply here. */
  boolean isIdle() {
    return replies.due() == null;
  }

  /** Begins to connect. */
  void start() {
    Threads.daemon("ipseity " + server.address, this).start();
  }

  /** How many identities one request may ask for; 0 as long as it is not known. */
  long countMax() {
    return replies.countMax();
  }

  /** Where the server is. */
  ServerAddress address() {
    return server.address;
  }

  /** Whether a request may be written here. It may still find the connection closed. */
  boolean isLive() {
    if (broken || ending.get() != null) {
      return false;
    }
    if (isIdleTooLong(Clock.now())) {
      leave(Trouble.lost(server.address));
      return false;
    }
    return true;
  }

  // ---- Callers ----

  /**
   * Writes the requests of some calls, from this one on, or keeps them until the connection is
   * there. Waits while too many are under way.
   *
   * @return how many were taken, at least one; 0 if the connection has ended; -1 if the time is
   *     over
   */
  int submit(Call[] calls, int from, long deadline) throws InterruptedException {
    while (!lock.tryLock(
        Math.min(Clock.left(deadline), options.replyTimeout), TimeUnit.NANOSECONDS)) {
      // Whoever has the lock for so long is stuck in a write, and is freed when its reply is
      // overdue.
      endIfOverdue(Clock.now());
      if (Clock.left(deadline) <= 0) {
        return -1;
      }
    }
    try {
      while (true) {
        if (state == State.DEAD || broken) {
          return 0;
        }
        long now = Clock.now();
        if (isOverdue(now)) {
          break;
        }
        int free = ending.get() == null ? Limits.IN_FLIGHT_MAX - inFlight.get() : 0;
        if (free > 0) {
          int count = Math.min(free, calls.length - from);
          accept(calls, from, count, now);
          return count;
        }
        if (deadline - now <= 0) {
          return -1;
        }
        waitForRoom++;
        try {
          // Room, or the end, may come between the look above and the wait, so the wait is short.
          room.awaitNanos(Math.min(deadline - now, Limits.HAND_OVER_NANOS));
        } finally {
          waitForRoom--;
        }
      }
    } finally {
      lock.unlock();
    }
    endIfOverdue(Clock.now());
    return 0;
  }

  /**
   * Waits until a call is done or the time is over.
   *
   * @return whether it is done
   * @throws InterruptedException if this thread is interrupted; the reply is thrown away when it
   *     comes
   */
  boolean await(Call call, long deadline) throws InterruptedException {
    while (!call.isDone()) {
      long now = Clock.now();
      if (deadline - now <= 0) {
        return false;
      }
      long until = patience(call);
      if (until - now <= 0) {
        endIfOverdue(now);
        until = now + Limits.HAND_OVER_NANOS;
      }
      if (call.isDone()) {
        break;
      }
      LockSupport.parkNanos(this, Clock.earlier(until, deadline) - now);
      if (!call.isDone() && Thread.interrupted()) {
        throw new InterruptedException();
      }
    }
    return true;
  }

  /** Ends the connection because nobody needs it any more. The calls on it get this trouble. */
  void leave(Trouble trouble) {
    if (!ending.compareAndSet(null, trouble)) {
      return;
    }
    Socket leaving = socket;
    // Somebody who has the lock is writing, and may be stuck there. Then there is no time for a
    // farewell.
    if (leaving != null && lock.tryLock()) {
      try {
        Sockets.shutDown(leaving);
        if (leaving != raw) {
          Sockets.shutDown(raw);
        }
      } finally {
        lock.unlock();
      }
    }
    finish(trouble);
  }

  /** Until when this call may expect its reply. */
  private long patience(Call call) {
    if (state == State.CONNECTING) {
      return connectDeadline + Limits.CONNECT_GRACE_NANOS;
    }
    return Clock.later(call.writtenAt, lastReplyAt) + options.replyTimeout;
  }

  private boolean isIdleTooLong(long now) {
    return state == State.OPEN && isIdle() && now - lastUsedAt - options.idleMax >= 0;
  }

  /** Whether the server has taken too long, for the connection or for the reply that is due. */
  private boolean isOverdue(long now) {
    if (state == State.CONNECTING) {
      return now - connectDeadline - Limits.CONNECT_GRACE_NANOS >= 0;
    }
    Call due = replies.due();
    return due != null && now - Clock.later(due.writtenAt, lastReplyAt) - options.replyTimeout >= 0;
  }

  private void endIfOverdue(long now) {
    boolean connecting = state == State.CONNECTING;
    if (isOverdue(now)) {
      String text =
          connecting
              ? "no connection within " + Clock.words(options.connectTimeout)
              : "no reply within " + Clock.words(options.replyTimeout);
      end(Trouble.failed(server.address, ServerFailure.Reason.TIMEOUT, text));
    }
  }

  private void accept(Call[] calls, int from, int count, long now) {
    inFlight.addAndGet(count);
    for (int i = from; i < from + count; i++) {
      calls[i].writtenAt = now;
    }
    if (state == State.CONNECTING) {
      for (int i = from; i < from + count; i++) {
        replies.expect(calls[i]);
      }
    } else {
      write(calls, from, count);
    }
  }

  /**
   * Writes requests with one write, behind the hello if that was not sent yet. The lock is held.
   */
  private void write(Call[] calls, int from, int count) {
    boolean greets = helloIsOwed;
    helloIsOwed = false;
    int bytes = count * Frames.IDENTITY_REQUEST_BYTES + (greets ? hello.length : 0);
    ByteBuffer requests = ByteBuffer.allocate(bytes);
    if (greets) {
      requests.put(hello);
      replies.expectHello();
    }
    long after = tally.newest();
    for (int i = from; i < from + count; i++) {
      calls[i].after = after;
      Frames.putIdentityRequest(requests, calls[i].count, after);
      replies.expect(calls[i]);
    }
    lastUsedAt = calls[from].writtenAt;
    tally.requests.add(count);
    try {
      out.write(requests.array());
      out.flush();
    } catch (IOException e) {
      // What the server said before it closed may still be there to read, and is worth more than
      // "broken
      // pipe". So the owning thread ends the connection, when it has read all.
      broken = true;
    }
  }

  // ---- The owning thread ----

  /** Connects, and reads replies until the connection ends. */
  @Override
  public void run() {
    try {
      if (open()) {
        owner.connected(this);
        begin();
        read();
      }
    } catch (Dialer.Failed e) {
      end(e.trouble);
    } catch (MalformedException e) {
      end(malformed(e));
    } catch (InterruptedException e) {
      // Nobody interrupts this thread but the program that owns the process, to end it.
      end(Trouble.lost(server.address));
    } catch (IOException e) {
      end(failure(e));
    } catch (RuntimeException | Error e) {
      // A mistake of this library, or no memory. The callers must not wait for this thread.
      end(
          Trouble.failed(
              server.address, ServerFailure.Reason.BROKEN, "it could not be read: " + e));
      throw e;
    }
  }

  private boolean open() throws Dialer.Failed, InterruptedException, IOException {
    RawSocket connected = dialer.connect();
    raw = connected;
    Socket ready = connected;
    if (server.address.tls()) {
      // A connection that has ended meanwhile could not close a socket that it did not know.
      if (ending.get() != null) {
        Sockets.close(connected);
        return false;
      }
      ready =
          TlsHandshake.shakeHands(
              connected, server.address, tls, options.connectTimeout, connectDeadline);
    }
    in = ready.getInputStream();
    out = ready.getOutputStream();
    socket = ready;
    buffer = ByteBuffer.allocate(Limits.READ_BYTES).flip();
    if (ending.get() != null) {
      Sockets.close(connected);
      return false;
    }
    tally.connects.increment();
    return true;
  }

  /** Writes what callers have asked for while the connection was made. */
  private void begin() {
    lock.lock();
    try {
      if (state == State.DEAD) {
        return;
      }
      long now = Clock.now();
      lastUsedAt = now;
      lastReplyAt = now;
      helloIsOwed = hello.length > 0;
      List<Call> calls = new ArrayList<>();
      for (Call call = replies.giveUp(); call != null; call = replies.giveUp()) {
        if (call.isAbandoned()) {
          inFlight.decrementAndGet();
        } else {
          call.writtenAt = now;
          calls.add(call);
        }
      }
      state = State.OPEN;
      if (!calls.isEmpty()) {
        write(calls.toArray(new Call[0]), 0, calls.size());
        // They have waited for the connection. From now on they wait for a reply, which has another
        // time.
        calls.forEach(Call::wake);
      }
    } finally {
      lock.unlock();
    }
  }

  private void read() throws IOException, MalformedException {
    while (ending.get() == null) {
      long idle = Clock.now() - lastUsedAt;
      socket.setSoTimeout(Clock.millis(Math.max(1, options.idleMax - idle)));
      int bytes;
      try {
        bytes = in.read(buffer.array(), buffer.limit(), buffer.capacity() - buffer.limit());
      } catch (SocketTimeoutException e) {
        if (isIdleTooLong(Clock.now())) {
          leave(Trouble.lost(server.address));
          return;
        }
        if (Clock.now() - lastUsedAt - options.idleMax >= 0) {
          // It waits for a reply. Whoever needs that reply looks at the time.
          lastUsedAt = Clock.now();
        }
        continue;
      }
      if (bytes < 0) {
        end(closed());
        return;
      }
      buffer.limit(buffer.limit() + bytes);
      for (Message message = Frames.next(buffer); message != null; message = Frames.next(buffer)) {
        boolean isUnasked = isStray;
        isStray = false;
        Trouble trouble = isUnasked ? replies.takeUnasked(message) : replies.take(message);
        if (trouble != null) {
          end(trouble);
          return;
        }
        lastReplyAt = Clock.now();
      }
      lookForStrays();
      buffer.compact().flip();
    }
  }

  /**
   * What has come while nothing is asked does not become a reply because something is asked now.
   */
  private void lookForStrays() {
    isStray |= buffer.hasRemaining() && replies.due() == null;
  }

  @Override
  public void answered(boolean isFirst) {
    lookForStrays();
    if (isFirst) {
      owner.answered(this);
    }
    inFlight.decrementAndGet();
    lastUsedAt = Clock.now();
    lastReplyAt = lastUsedAt;
    if (waitForRoom > 0 && lock.tryLock()) {
      try {
        room.signal();
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public void lastWord() {
    broken = true;
  }

  @Override
  public void inDoubt(int pid) {
    owner.inDoubt(pid);
  }

  // ---- The end ----

  /** What the end of the stream means. */
  private Trouble closed() {
    int bytes = buffer.remaining();
    if (bytes == 0 && (replies.isUsed() || replies.due() == null)) {
      return Trouble.lost(server.address);
    }
    String text =
        bytes == 0
            ? "the server closed the connection without a reply"
            : "the server closed the connection " + bytes + " bytes into a reply";
    return Trouble.failed(server.address, ServerFailure.Reason.CLOSED, text);
  }

  private Trouble failure(IOException e) {
    if (buffer != null && (isTheEnd(e) || isTheEnd(e.getCause()))) {
      return closed();
    }
    if (server.address.tls()) {
      return TlsHandshake.trouble(e, raw, server.address);
    }
    return Trouble.failed(
        server.address,
        ServerFailure.Reason.BROKEN,
        "the connection failed: " + Plain.text(String.valueOf(e.getMessage())));
  }

  /** Whether the other side is gone. TLS may wrap this in an exception of its own. */
  private static boolean isTheEnd(Throwable e) {
    return e instanceof SocketException || e instanceof EOFException;
  }

  /** What bytes mean that are no frame. A server of TLS answers a plain request with an alert. */
  private Trouble malformed(MalformedException e) {
    if (!server.address.tls() && Frames.isTls(buffer)) {
      return Trouble.failed(
          server.address,
          ServerFailure.Reason.TLS,
          "it speaks TLS there: write tls:// before its address");
    }
    return Trouble.protocol(server.address, e.getMessage());
  }

  private void end(Trouble trouble) {
    if (ending.compareAndSet(null, trouble)) {
      finish(trouble);
    }
  }

  private void finish(Trouble trouble) {
    dialer.cancel();
    // Before the server can see the end, so that whoever calls after that is told why.
    owner.ended(this, trouble);
    RawSocket closing = raw;
    if (closing != null) {
      // This frees who is stuck in a write, and the owning thread.
      Sockets.close(closing);
    }
    lock.lock();
    try {
      state = State.DEAD;
      for (Call call = replies.giveUp(); call != null; call = replies.giveUp()) {
        call.complete(trouble);
      }
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
