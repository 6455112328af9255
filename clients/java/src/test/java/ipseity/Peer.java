package ipseity;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;

/** The server's end of one connection, for a script. */
final class Peer {
  /** An identityRequest. */
  record Request(int count, long after) {}

  final Socket socket;
  private final DataInputStream in;
  private final OutputStream out;
  private final CountDownLatch ended;

  Peer(Socket socket, CountDownLatch ended) throws IOException {
    this.socket = socket;
    this.ended = ended;
    socket.setTcpNoDelay(true);
    in = new DataInputStream(socket.getInputStream());
    out = socket.getOutputStream();
  }

  /** The next frame, from its kind on. */
  private ByteBuffer frame() throws IOException {
    byte[] frame = new byte[in.readUnsignedShort()];
    in.readFully(frame);
    return ByteBuffer.wrap(frame);
  }

  /** Reads an identityRequest. */
  Request request() throws IOException {
    return request(frame());
  }

  private static Request request(ByteBuffer frame) {
    int kind = frame.get();
    if (kind != 1) {
      throw new AssertionError("kind " + kind + " came instead of an identityRequest");
    }
    return frame.hasRemaining() ? new Request(frame.getInt(), frame.getLong()) : new Request(1, 0);
  }

  /** Reads a helloRequest. Returns the name of the cluster. */
  String hello() throws IOException {
    ByteBuffer frame = frame();
    int kind = frame.get();
    if (kind != 17) {
      throw new AssertionError("kind " + kind + " came instead of a helloRequest");
    }
    byte[] name = new byte[(int) frame.getLong()];
    frame.get(name);
    return new String(name, StandardCharsets.UTF_8);
  }

  void send(byte[] bytes) throws IOException {
    out.write(bytes);
    out.flush();
  }

  void identities(long first, int count) throws IOException {
    send(Bytes.identityReply(first, count));
  }

  void error(int code, String text) throws IOException {
    send(Bytes.errorReply(code, text));
  }

  /** Answers a hello. */
  void introduce(String cluster, int countMax, int pid) throws IOException {
    send(Bytes.helloReply(cluster, countMax, pid));
  }

  /** Answers everything from this sequence on, like a real server, until the client closes. */
  void serve(int pid, long sequence, int countMax) throws IOException {
    serve(pid, sequence, countMax, Integer.MAX_VALUE);
  }

  /** The same for so many requests. Returns the next sequence. */
  long serve(int pid, long sequence, int countMax, int requests) throws IOException {
    long next = sequence;
    for (int answered = 0; answered < requests; ) {
      ByteBuffer frame;
      try {
        frame = frame();
      } catch (EOFException e) {
        return next;
      }
      if (frame.get(0) == 17) {
        introduce("ipseity", countMax, pid);
        continue;
      }
      answered++;
      Request request = request(frame);
      if (request.count < 1 || request.count > countMax) {
        error(ErrorCodes.BAD_COUNT, "count must be 1 to " + countMax);
        continue;
      }
      next = Math.max(next, Identity.sequenceOf(request.after) + 1);
      identities(next << 10 | pid, request.count);
      next += request.count;
    }
    return next;
  }

  /** Waits until the client closes its side. Returns whether nothing more came before. */
  boolean isEnd() throws IOException {
    return in.read() < 0;
  }

  /** Ends the connection with a reset. */
  void reset() throws IOException {
    socket.setSoLinger(true, 0);
    socket.close();
  }

  /** Does nothing more until the test ends. */
  void freeze() throws InterruptedException {
    ended.await();
  }
}
