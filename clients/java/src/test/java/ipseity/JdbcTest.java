package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The recipe of the README: an identity is a BIGINT. */
class JdbcTest {
  @Test
  void an_identity_is_a_bigint() throws Exception {
    List<Long> identities = List.of(1025L, 2049L, Identity.of(1L << 50, 7).value(), Long.MAX_VALUE);
    try (Connection database = DriverManager.getConnection("jdbc:h2:mem:");
        Statement statement = database.createStatement()) {
      statement.execute("CREATE TABLE orders (id BIGINT PRIMARY KEY, code CHAR(13) NOT NULL)");
      try (PreparedStatement insert =
          database.prepareStatement("INSERT INTO orders VALUES (?, ?)")) {
        for (long identity : identities) {
          insert.setLong(1, identity);
          insert.setString(2, new Identity(identity).base32());
          assertEquals(1, insert.executeUpdate());
        }
      }
      for (String order : List.of("id", "code")) {
        try (ResultSet rows =
            statement.executeQuery("SELECT id, code FROM orders ORDER BY " + order)) {
          for (long identity : identities) {
            assertTrue(rows.next());
            assertEquals(identity, rows.getLong(1));
            assertEquals(identity, Identity.parseBase32(rows.getString(2)).value());
          }
          assertFalse(rows.next());
        }
      }
    }
  }
}
