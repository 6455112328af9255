package ipseity;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Certificates for one test, made by openssl. */
final class Certificates {
  private final Path directory;

  Certificates(Path directory) {
    this.directory = directory;
  }

  static boolean canBeMade() {
    try {
      return new ProcessBuilder("openssl", "version").redirectErrorStream(true).start().waitFor()
          == 0;
    } catch (IOException | InterruptedException e) {
      return false;
    }
  }

  Path path(String name) {
    return directory.resolve(name);
  }

  /** Makes NAME.pem and NAME.key of a CA. */
  void ca(String name) {
    openssl(
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        name + ".key",
        "-out",
        name + ".pem",
        "-days",
        "2",
        "-subj",
        "/CN=" + name,
        "-addext",
        "keyUsage=critical,keyCertSign");
  }

  /** Makes NAME.pem and NAME.key, signed by a CA, for these names, for so many days. */
  void leaf(String name, String ca, String names, int days) {
    openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        name + ".key",
        "-out",
        name + ".csr",
        "-subj",
        "/CN=" + name,
        "-addext",
        "subjectAltName=" + names);
    openssl(
        "x509",
        "-req",
        "-in",
        name + ".csr",
        "-CA",
        ca + ".pem",
        "-CAkey",
        ca + ".key",
        "-CAcreateserial",
        "-copy_extensions",
        "copy",
        "-days",
        Integer.toString(days),
        "-out",
        name + ".pem");
  }

  void openssl(String... arguments) {
    List<String> command = new ArrayList<>(List.of("openssl"));
    command.addAll(Arrays.asList(arguments));
    try {
      Path log = path("openssl.log");
      int code =
          new ProcessBuilder(command)
              .directory(directory.toFile())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start()
              .waitFor();
      if (code != 0) {
        throw new AssertionError(command + ": " + Files.readString(log));
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(command.toString(), e);
    }
  }
}
