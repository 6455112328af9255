package ipseity;

import java.io.IOException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;

/** TLS on a connection that is there: the handshake, and what its failures mean. */
final class TlsHandshake {
  private static final String[] VERSIONS = {"TLSv1.3", "TLSv1.2"};

  /** Where the kind and the code stand in an errorReply. */
  private static final int KIND_AT = 2;

  private static final int CODE_AT = 3;
  private static final int ERROR_REPLY = 255;
  private static final int TLS_ALERT = 0x15;

  /** The kind of a name that is one of a host (RFC 5280, section 4.2.1.6). */
  private static final Integer DNS_NAME = 2;

  private static final int TLS_HANDSHAKE = 0x16;

  private TlsHandshake() {}

  /** What Java believes and shows where nothing else is told. */
  static SSLContext standard() {
    try {
      return SSLContext.getDefault();
    } catch (NoSuchAlgorithmException e) {
      throw new ConfigurationException("this Java has no TLS: " + e.getMessage(), e);
    }
  }

  /**
   * Begins a handshake with nobody. Java loads much of TLS at its first use, which takes a good
   * part of a second on a busy machine. That should not count as the time of a server.
   */
  static void warmUp(SSLContext context) {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(true);
    try {
      engine.beginHandshake();
      engine.wrap(
          ByteBuffer.allocate(0), ByteBuffer.allocate(engine.getSession().getPacketBufferSize()));
    } catch (SSLException e) {
      // Then the first real handshake fails too, and has somebody to tell it.
    }
  }

  /**
   * Makes the handshake, and checks that the certificate is for the host in the server's address.
   */
  static SSLSocket shakeHands(
      RawSocket raw, ServerAddress server, SSLContext context, long timeout, long deadline)
      throws Dialer.Failed {
    try {
      SSLSocket socket =
          (SSLSocket)
              context.getSocketFactory().createSocket(raw, server.host(), server.port(), true);
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(VERSIONS);
      // The name is checked as RFC 2818 describes. Without this line it is not checked at all.
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      socket.setSSLParameters(parameters);
      socket.setSoTimeout(Clock.millis(Clock.left(deadline)));
      socket.startHandshake();
      checkNames(socket.getSession(), server);
      return socket;
    } catch (SocketTimeoutException e) {
      throw new Dialer.Failed(
          Trouble.failed(
              server,
              ServerFailure.Reason.TLS,
              "the TLS handshake was not complete within " + Clock.words(timeout)));
    } catch (IOException e) {
      throw new Dialer.Failed(trouble(e, raw, server));
    }
  }

  /** Where a certificate has no name at all, Java takes its common name for one. */
  private static void checkNames(SSLSession session, ServerAddress server)
      throws SSLPeerUnverifiedException, Dialer.Failed {
    if (ServerAddress.isV4(server.host()) || ServerAddress.isV6(server.host())) {
      return;
    }
    CertificateParsingException unread = new CertificateParsingException("it has no such name");
    try {
      X509Certificate certificate = (X509Certificate) session.getPeerCertificates()[0];
      Collection<List<?>> names = certificate.getSubjectAlternativeNames();
      if (names != null && names.stream().anyMatch(name -> name.get(0).equals(DNS_NAME))) {
        return;
      }
    } catch (CertificateParsingException e) {
      unread = e;
    }
    throw new Dialer.Failed(
        certificate(
            server, "its certificate is not for " + server.host() + " or not good", unread));
  }

  /** What a failure of a TLS connection means. */
  static Trouble trouble(IOException e, RawSocket raw, ServerAddress server) {
    byte[] first = raw.firstBytes();
    if (first.length > KIND_AT
        && first[0] != TLS_ALERT
        && first[0] != TLS_HANDSHAKE
        && first[0] != 0x17) {
      return notTls(first, server);
    }
    if (!(e instanceof SSLException)) {
      return Trouble.failed(
          server,
          ServerFailure.Reason.TLS,
          "it closed the connection in the middle of the TLS handshake");
    }
    String message = String.valueOf(e.getMessage());
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof CertificateExpiredException) {
        return certificate(server, "its certificate has expired", cause);
      }
      if (cause instanceof CertificateNotYetValidException) {
        return certificate(server, "its certificate is not valid yet", cause);
      }
      if (cause instanceof CertPathBuilderException) {
        return certificate(
            server,
            "no CA that this client believes, see Options.tls, has signed its certificate",
            cause);
      }
      if (cause instanceof CertificateException && cause.getCause() == null) {
        return certificate(
            server, "its certificate is not for " + server.host() + " or not good", cause);
      }
    }
    if (message.contains("alert") && isAboutCertificate(message)) {
      return certificate(server, "it does not accept the certificate of this client", e);
    }
    return Trouble.failed(
        server, ServerFailure.Reason.TLS, "there is no TLS with it: " + Plain.text(message));
  }

  private static boolean isAboutCertificate(String message) {
    String small = message.toLowerCase(Locale.ROOT);
    return small.contains("certificate") || small.contains("unknown_ca");
  }

  private static Trouble certificate(ServerAddress server, String text, Throwable cause) {
    return Trouble.failed(
        server,
        ServerFailure.Reason.CERTIFICATE,
        text + " (" + Plain.text(String.valueOf(cause.getMessage())) + ")");
  }

  private static Trouble notTls(byte[] first, ServerAddress server) {
    String text = "it does not speak TLS there: write its address without tls://";
    if (Byte.toUnsignedInt(first[KIND_AT]) == ERROR_REPLY && first.length > CODE_AT + 1) {
      int code = Short.toUnsignedInt(ByteBuffer.wrap(first).getShort(CODE_AT));
      if (code == ErrorCodes.TLS_NOT_OFFERED) {
        return Trouble.failed(
            server,
            ServerFailure.Reason.REFUSED,
            code,
            "refused with " + ErrorCodes.inWords(code, text));
      }
      if (ErrorCodes.action(code) == ErrorCodes.Action.ELSEWHERE) {
        return Trouble.failed(
            server,
            ServerFailure.Reason.REFUSED,
            code,
            "refused with " + ErrorCodes.inWords(code, "it does not take this connection"));
      }
    }
    return Trouble.failed(server, ServerFailure.Reason.TLS, text);
  }
}
