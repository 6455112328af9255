package ipseity;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Makes an {@link SSLContext} from PEM files. The files are read once, here: make a new client to
 * use newer ones.
 */
public final class Tls {
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");

  /** The kinds of keys, and how each signs. */
  private static final Map<String, String> SIGNATURES =
      Map.of("EC", "SHA256withECDSA", "RSA", "SHA256withRSA", "EdDSA", "EdDSA");

  private static final char[] NO_PASSWORD = {};

  private Tls() {}

  /**
   * Believes these CAs and no others, and shows no certificate.
   *
   * @param ca a PEM file with the certificates of one or more CAs
   * @return the context, for {@link Options#tls}
   * @throws ConfigurationException if the file cannot be read, or holds no certificate
   */
  public static SSLContext context(Path ca) {
    return context(ca, null);
  }

  /**
   * Believes these CAs and no others, and shows a certificate to servers that ask for one.
   *
   * @param ca a PEM file with the certificates of one or more CAs
   * @param certificate a PEM file: the certificate of this client, and then those between it and
   *     the CA
   * @param key a PEM file: the private key of the certificate, in PKCS #8 and not encrypted
   * @return the context, for {@link Options#tls}
   * @throws ConfigurationException if a file cannot be read, or does not hold what it should
   */
  public static SSLContext context(Path ca, Path certificate, Path key) {
    try {
      Certificate[] chain = certificates(certificate).toArray(new Certificate[0]);
      PrivateKey own = key(key, chain[0].getPublicKey());
      KeyStore store = empty();
      store.setKeyEntry("own", own, NO_PASSWORD, chain);
      KeyManagerFactory managers =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      managers.init(store, NO_PASSWORD);
      return context(ca, managers.getKeyManagers());
    } catch (GeneralSecurityException | IOException e) {
      throw new ConfigurationException(
          "the certificate "
              + certificate
              + " cannot be used with the key "
              + key
              + ": "
              + e.getMessage(),
          e);
    }
  }

  private static SSLContext context(Path ca, KeyManager[] own) {
    try {
      KeyStore store = empty();
      int count = 0;
      for (Certificate certificate : certificates(ca)) {
        store.setCertificateEntry("ca" + count++, certificate);
      }
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(own, trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw new ConfigurationException(
          "the CA file " + ca + " cannot be used: " + e.getMessage(), e);
    }
  }

  private static KeyStore empty() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static Collection<? extends Certificate> certificates(Path path)
      throws GeneralSecurityException {
    Collection<? extends Certificate> certificates =
        CertificateFactory.getInstance("X.509")
            .generateCertificates(new ByteArrayInputStream(read(path)));
    if (certificates.isEmpty()) {
      throw new ConfigurationException(path + " holds no certificate: it must be a PEM file");
    }
    return certificates;
  }

  /** Reads a key, and makes sure that it is the one of this certificate. */
  private static PrivateKey key(Path path, PublicKey certified) throws GeneralSecurityException {
    Matcher found = KEY.matcher(new String(read(path), StandardCharsets.ISO_8859_1));
    if (!found.find()) {
      throw new ConfigurationException(
          path
              + " holds no private key that begins with BEGIN PRIVATE KEY. To make one of another"
              + " form: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW");
    }
    byte[] bytes = Base64.getMimeDecoder().decode(found.group(1));
    String kind = certified.getAlgorithm().equals("Ed25519") ? "EdDSA" : certified.getAlgorithm();
    String signature = SIGNATURES.get(kind);
    if (signature == null) {
      throw new ConfigurationException("a certificate for a key of kind " + kind + " is of no use");
    }
    PrivateKey key;
    try {
      key = KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(bytes));
    } catch (InvalidKeySpecException e) {
      throw new ConfigurationException(
          path + " holds no key of kind " + kind + ", as its certificate has", e);
    }
    if (!belong(key, certified, signature)) {
      throw new ConfigurationException(path + " holds another key than that of the certificate");
    }
    return key;
  }

  /** Whether what one key signs is good for the other. */
  private static boolean belong(PrivateKey key, PublicKey certified, String algorithm)
      throws GeneralSecurityException {
    Signature signature = Signature.getInstance(algorithm);
    signature.initSign(key);
    byte[] signed = signature.sign();
    signature.initVerify(certified);
    return signature.verify(signed);
  }

  private static byte[] read(Path path) {
    try {
      if (Files.size(path) > Limits.PEM_BYTES_MAX) {
        throw new ConfigurationException(path + " is too long for a file of certificates or keys");
      }
      return Files.readAllBytes(path);
    } catch (NoSuchFileException e) {
      throw new ConfigurationException(path + " cannot be read: there is no such file", e);
    } catch (AccessDeniedException e) {
      throw new ConfigurationException(path + " cannot be read: this program may not", e);
    } catch (IOException e) {
      throw new ConfigurationException(path + " cannot be read: " + e.getMessage(), e);
    }
  }
}
