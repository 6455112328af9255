package ipseity;

/** Texts that came from somebody else, made safe to show in one line. */
final class Plain {
  private Plain() {}

  /**
   * The text with each character escaped that could move the cursor, forge a line or turn its
   * order.
   */
  static String text(String text) {
    StringBuilder plain = new StringBuilder(text.length());
    text.codePoints()
        .forEach(
            c -> {
              if (isPlain(c)) {
                plain.appendCodePoint(c);
              } else if (c == '\n') {
                plain.append("\\n");
              } else {
                plain.append(String.format("\\u{%x}", c));
              }
            });
    return plain.toString();
  }

  /** The same between quotation marks. */
  static String quoted(String text) {
    return '"' + text(text) + '"';
  }

  /** Whether a character stays on its line and in its place. */
  static boolean isPlain(int c) {
    return !(Character.isISOControl(c)
        || c == 0x61c
        || c == 0x200e
        || c == 0x200f
        || c >= 0x2028 && c <= 0x202e
        || c >= 0x2066 && c <= 0x2069);
  }
}
