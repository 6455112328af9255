package ipseity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The vectors of the conformance kit: what all clients read and write in the same way. */
class VectorsTest {
  private static final Path VECTORS = Path.of("../../conformance/vectors");

  @SuppressWarnings("unchecked")
  private static List<Map<String, Object>> list(String file, String list) throws IOException {
    String text = Files.readString(VECTORS.resolve(file));
    List<Map<String, Object>> all =
        (List<Map<String, Object>>) (List<?>) (List<Object>) Json.readObject(text).get(list);
    assertFalse(all.isEmpty());
    return all;
  }

  private static String text(Map<String, Object> object, String name) {
    return (String) object.get(name);
  }

  @Test
  void identities() throws IOException {
    long before = -1;
    String textBefore = "";
    for (Map<String, Object> forms : list("identities.json", "identities")) {
      for (String form : List.of("decimal", "hex", "pair")) {
        assertEquals(forms, json(Answers.identity(Identity.parse(text(forms, form)))));
      }
      Identity identity = Identity.parseBase32(text(forms, "base32"));
      assertEquals(forms, json(Answers.identity(identity)));
      assertTrue(identity.value() > before && identity.base32().compareTo(textBefore) > 0);
      before = identity.value();
      textBefore = identity.base32();
    }
    for (Map<String, Object> also : list("identities.json", "also")) {
      assertEquals(text(also, "decimal"), Identity.parse(text(also, "text")).decimal());
    }
    for (Map<String, Object> also : list("identities.json", "also_base32")) {
      assertEquals(text(also, "decimal"), Identity.parseBase32(text(also, "text")).decimal());
    }
    for (Map<String, Object> none : list("identities.json", "invalid")) {
      assertThrows(
          ConfigurationException.class, () -> Identity.parse(text(none, "text")), none.toString());
    }
    for (Map<String, Object> none : list("identities.json", "invalid_base32")) {
      assertThrows(
          ConfigurationException.class,
          () -> Identity.parseBase32(text(none, "text")),
          none.toString());
    }
  }

  @Test
  void addresses() throws IOException {
    for (Map<String, Object> vector : list("addresses.json", "addresses")) {
      ServerAddress address = ServerAddress.parse(text(vector, "text"));
      assertEquals(vector.get("address"), json(Answers.address(address)));
    }
    for (Map<String, Object> none : list("addresses.json", "invalid")) {
      assertThrows(
          ConfigurationException.class,
          () -> ServerAddress.parse(text(none, "text")),
          none.toString());
    }
  }

  @Test
  @SuppressWarnings("unchecked")
  void frames() throws IOException, MalformedException {
    for (Map<String, Object> vector : list("frames.json", "frames")) {
      byte[] bytes = HexFormat.of().parseHex(text(vector, "bytes"));
      Map<String, Object> message = (Map<String, Object>) vector.get("message");
      if (vector.get("sender").equals("server")) {
        Message decoded = Frames.next(ByteBuffer.wrap(bytes));
        assertNotNull(decoded, text(vector, "name"));
        assertEquals(message, json(Answers.message(decoded)));
      } else if (message.get("kind").equals("helloRequest")) {
        assertArrayEquals(bytes, Frames.helloRequest(text(message, "cluster")));
      } else if (bytes.length > Frames.HEADER_BYTES) {
        // The short form of an identityRequest is right too, but this client writes the long one.
        ByteBuffer out = ByteBuffer.allocate(Frames.IDENTITY_REQUEST_BYTES);
        int count = Math.toIntExact((Long) message.get("count"));
        Frames.putIdentityRequest(out, count, Long.parseLong(text(message, "after")));
        assertArrayEquals(bytes, out.array());
      }
    }
    for (Map<String, Object> vector : list("malformed.json", "malformed")) {
      ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(text(vector, "bytes")));
      assertThrows(
          MalformedException.class,
          () -> {
            if (Frames.next(bytes) == null) {
              throw new MalformedException("it is not complete");
            }
          },
          text(vector, "name"));
    }
  }

  @Test
  void codes() throws IOException {
    for (Map<String, Object> vector : list("codes.json", "codes")) {
      int code = Math.toIntExact((Long) vector.get("code"));
      Map<String, Object> answer = Answers.code(code);
      assertEquals(vector.get("action"), answer.get("action"), "code " + code);
      assertEquals(vector.get("closes"), answer.get("closes"), "code " + code);
      if (vector.get("name") != null) {
        String words = ErrorCodes.inWords(code, "");
        assertEquals(vector.get("name") + ": ", words);
      }
    }
  }

  /** As it looks when it was written and read. */
  private static Object json(Object value) {
    return Json.read(Json.write(value));
  }
}
