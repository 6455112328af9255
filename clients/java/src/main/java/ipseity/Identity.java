package ipseity;

/**
 * An identity, as a value with its parts and its forms as text.
 *
 * <p>The calls of {@link Client} and {@link Source} return a plain {@code long}, which costs
 * nothing and fits a {@code BIGINT}. Wrap it where its parts, or another form than decimal, are
 * needed:
 *
 * <pre>{@code
 * Identity identity = new Identity(1025);
 * identity.sequence();  // 1
 * identity.pid();       // 1
 * identity.base32();    // "0000000000101"
 * }</pre>
 *
 * <p>Identities compare as their numbers: first by sequence, then by pid. The text of {@link
 * #base32} sorts in the same order.
 *
 * @param value the number, 0 to 2^63 - 1. A server hands out none below 1024
 */
public record Identity(long value) implements Comparable<Identity> {
  /** The greatest sequence: 2^53 - 1. */
  public static final long SEQUENCE_MAX = (1L << 53) - 1;

  /** The greatest pid. */
  public static final int PID_MAX = 1023;

  /** How far apart two identities of one block stand: one sequence. */
  static final long STRIDE = 1024;

  private static final int PID_BITS = 10;
  private static final int BASE32_CHARS = 13;
  private static final int BASE32_BITS = 5;
  private static final String BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  private static final int HEX = 16;
  private static final int DECIMAL = 10;

  /**
   * The identity with this number.
   *
   * @param value 0 to 2^63 - 1
   * @throws ConfigurationException if it is negative
   */
  public Identity {
    if (value < 0) {
      throw new ConfigurationException(value + " is no identity: an identity is not negative");
    }
  }

  /**
   * The identity of this sequence and this pid.
   *
   * @param sequence 0 to {@link #SEQUENCE_MAX}
   * @param pid 0 to {@link #PID_MAX}
   * @return the identity
   * @throws ConfigurationException if one of them is outside its range
   */
  public static Identity of(long sequence, int pid) {
    if (sequence < 0 || sequence > SEQUENCE_MAX) {
      throw new ConfigurationException("sequence " + sequence + " is not 0 to " + SEQUENCE_MAX);
    }
    if (pid < 0 || pid > PID_MAX) {
      throw new ConfigurationException("pid " + pid + " is not 0 to " + PID_MAX);
    }
    return new Identity(sequence << PID_BITS | pid);
  }

  /**
   * Reads decimal ({@code 1025}), hexadecimal ({@code 0x401}) or a pair of sequence and pid ({@code
   * 1:1}).
   *
   * @param text one of the three forms, and nothing around it
   * @return the identity
   * @throws ConfigurationException if the text is none of them, or the number is too great
   */
  public static Identity parse(String text) {
    int colon = text.indexOf(':');
    if (colon >= 0) {
      long sequence = digits(text, text.substring(0, colon), DECIMAL);
      long pid = digits(text, text.substring(colon + 1), DECIMAL);
      if (sequence > SEQUENCE_MAX) {
        throw wrong(text, "its sequence is beyond the last, " + SEQUENCE_MAX);
      }
      if (pid > PID_MAX) {
        throw wrong(text, "its pid is beyond the last, " + PID_MAX);
      }
      return of(sequence, (int) pid);
    }
    if (text.startsWith("0x") || text.startsWith("0X")) {
      return new Identity(digits(text, text.substring(2), HEX));
    }
    return new Identity(digits(text, text, DECIMAL));
  }

  /**
   * Reads the form that {@link #base32} writes. Small letters are read too, and so are {@code I}
   * and {@code L} for 1 and {@code O} for 0. Hyphens are not.
   *
   * @param text 13 characters
   * @return the identity
   * @throws ConfigurationException if the text is not of this form, or does not begin with 0 to 7
   */
  public static Identity parseBase32(String text) {
    if (text.length() != BASE32_CHARS) {
      throw wrong(text, "base32 has 13 characters");
    }
    long value = 0;
    for (int i = 0; i < BASE32_CHARS; i++) {
      int digit = base32Digit(text.charAt(i));
      if (digit < 0) {
        throw wrong(text, "base32 has only the digits and letters of Crockford's alphabet");
      }
      if (i == 0 && digit >= 8) {
        throw wrong(text, "its first character is not 0 to 7");
      }
      value = value << BASE32_BITS | digit;
    }
    return new Identity(value);
  }

  /**
   * The sequence of an identity.
   *
   * @param identity 0 or greater
   * @return 0 to {@link #SEQUENCE_MAX}
   */
  public static long sequenceOf(long identity) {
    return identity >> PID_BITS;
  }

  /**
   * The pid of the server that handed an identity out.
   *
   * @param identity 0 or greater
   * @return 0 to {@link #PID_MAX}
   */
  public static int pidOf(long identity) {
    return (int) (identity & PID_MAX);
  }

  /**
   * The sequence: the counter of the server that handed it out.
   *
   * @return 0 to {@link #SEQUENCE_MAX}
   */
  public long sequence() {
    return sequenceOf(value);
  }

  /**
   * The pid of the server that handed it out.
   *
   * @return 0 to {@link #PID_MAX}
   */
  public int pid() {
    return pidOf(value);
  }

  /**
   * The number in decimal, as in {@code 1025}. It is the form for JSON, as a string.
   *
   * @return 1 to 19 digits
   */
  public String decimal() {
    return Long.toString(value);
  }

  /**
   * The number in hexadecimal, as in {@code 0x401}.
   *
   * @return small letters, without zeros in front
   */
  public String hex() {
    return "0x" + Long.toHexString(value);
  }

  /**
   * Sequence and pid in decimal, as in {@code 1:1}.
   *
   * @return the two numbers, with a colon between them
   */
  public String pair() {
    return sequence() + ":" + pid();
  }

  /**
   * The number in D. Crockford's base32, as in {@code 0000000000101}. As text it sorts in the order
   * of the numbers.
   *
   * @return always 13 characters, in capitals
   */
  public String base32() {
    char[] text = new char[BASE32_CHARS];
    long rest = value;
    for (int i = BASE32_CHARS - 1; i >= 0; i--) {
      text[i] = BASE32.charAt((int) (rest & 31));
      rest >>= BASE32_BITS;
    }
    return new String(text);
  }

  @Override
  public int compareTo(Identity other) {
    return Long.compare(value, other.value);
  }

  /** The number in decimal. */
  @Override
  public String toString() {
    return decimal();
  }

  private static int base32Digit(char c) {
    char capital = c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
    return switch (capital) {
      case 'I', 'L' -> 1;
      case 'O' -> 0;
      default -> BASE32.indexOf(capital);
    };
  }

  /**
   * A number of 63 bits. {@code Long.parseLong} would take signs and the digits of other scripts.
   */
  private static long digits(String text, String digits, int radix) {
    if (digits.isEmpty()) {
      throw notANumber(text);
    }
    long value = 0;
    boolean tooGreat = false;
    for (int i = 0; i < digits.length(); i++) {
      char c = digits.charAt(i);
      int digit = c < 128 ? Character.digit(c, radix) : -1;
      if (digit < 0) {
        throw notANumber(text);
      }
      tooGreat |= value > (Long.MAX_VALUE - digit) / radix;
      value = value * radix + digit;
    }
    if (tooGreat) {
      throw wrong(text, "it has more than 63 bits");
    }
    return value;
  }

  private static ConfigurationException notANumber(String text) {
    return wrong(text, "expected decimal (1025), hexadecimal (0x401) or sequence:pid (1:1)");
  }

  private static ConfigurationException wrong(String text, String why) {
    return new ConfigurationException(Plain.quoted(text) + " is no identity: " + why);
  }
}
