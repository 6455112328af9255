package ipseity;

import java.util.regex.Pattern;

/**
 * Where a server is: {@code [tls://]HOST[:PORT]}. It is only text; no lookup happens here.
 *
 * @param host a name or an IP address, an IPv6 address without brackets
 * @param port 1 to 65535
 * @param tls whether the server is spoken to by TLS
 */
record ServerAddress(String host, int port, boolean tls) {
  private static final String TLS = "tls://";
  private static final int PORT_MAX = 65_535;
  private static final Pattern V6_GROUP = Pattern.compile("[0-9a-fA-F]{1,4}");
  private static final Pattern V4_PART = Pattern.compile("0|[1-9][0-9]{0,2}");
  private static final int V6_GROUPS = 8;

  /**
   * Reads an address, or throws a {@link ConfigurationException} that says what is wrong with it.
   */
  static ServerAddress parse(String text) {
    boolean tls = text.startsWith(TLS);
    String place = tls ? text.substring(TLS.length()) : text;
    if (place.contains("://")) {
      throw new ConfigurationException(
          Plain.quoted(text)
              + " is not an address ([tls://]HOST[:PORT]): tls://, in small letters, is the one scheme"
              + " that there is, and an address without it is spoken to without TLS");
    }
    if (isV6(place)) {
      return new ServerAddress(place, Limits.PORT_DEFAULT, tls);
    }
    if (place.startsWith("[")) {
      int end = place.indexOf(']');
      String behind = end < 0 ? "" : place.substring(end + 1);
      if (end < 0
          || !isV6(place.substring(1, end))
          || !(behind.isEmpty() || behind.startsWith(":"))) {
        throw wrong(text, "an IPv6 address with a port is written [::1]:3264");
      }
      return new ServerAddress(place.substring(1, end), port(text, behind), tls);
    }
    int colon = place.indexOf(':');
    String host = colon < 0 ? place : place.substring(0, colon);
    if (host.isEmpty() || host.codePoints().anyMatch(ServerAddress::isOdd)) {
      throw wrong(text, "it names no host");
    }
    return new ServerAddress(host, port(text, colon < 0 ? "" : place.substring(colon)), tls);
  }

  /** The address without {@code tls://}. */
  String place() {
    return host.indexOf(':') >= 0 ? "[" + host + "]:" + port : host + ":" + port;
  }

  @Override
  public String toString() {
    return tls ? TLS + place() : place();
  }

  /** The port behind a colon; the default if there is neither. */
  private static int port(String text, String behind) {
    if (behind.isEmpty()) {
      return Limits.PORT_DEFAULT;
    }
    int port = 0;
    for (char c : behind.substring(1).toCharArray()) {
      // Beyond the greatest port it stays there, so that it cannot overflow.
      port = c < '0' || c > '9' ? PORT_MAX + 1 : Math.min(port * 10 + c - '0', PORT_MAX + 1);
      if (port > PORT_MAX) {
        break;
      }
    }
    if (port < 1 || port > PORT_MAX) {
      throw wrong(text, "its port is not 1 to 65535");
    }
    return port;
  }

  /** Whether no host can have this character. */
  private static boolean isOdd(int c) {
    return "[]/%".indexOf(c) >= 0
        || Character.isWhitespace(c)
        || Character.isSpaceChar(c)
        || !Plain.isPlain(c);
  }

  /** Whether this is an IPv6 address, perhaps with the zone in which it counts. */
  static boolean isV6(String text) {
    int percent = text.indexOf('%');
    if (percent >= 0) {
      String zone = text.substring(percent + 1);
      if (zone.isEmpty()
          || zone.indexOf(':') >= 0
          || zone.codePoints().anyMatch(ServerAddress::isOdd)) {
        return false;
      }
    }
    String address = percent >= 0 ? text.substring(0, percent) : text;
    int gap = address.indexOf("::");
    if (gap < 0) {
      return groups(address, true) == V6_GROUPS;
    }
    int before = groups(address.substring(0, gap), false);
    int after = groups(address.substring(gap + 2), true);
    return before >= 0 && after >= 0 && before + after < V6_GROUPS;
  }

  /** How many groups of 16 bits these are, or a negative number if they are none. */
  private static int groups(String text, boolean mayEndWithV4) {
    if (text.isEmpty()) {
      return 0;
    }
    String[] parts = text.split(":", -1);
    int groups = 0;
    for (int i = 0; i < parts.length; i++) {
      if (V6_GROUP.matcher(parts[i]).matches()) {
        groups += 1;
      } else if (mayEndWithV4 && i == parts.length - 1 && isV4(parts[i])) {
        groups += 2;
      } else {
        return -V6_GROUPS;
      }
    }
    return groups;
  }

  /** Whether this is an IPv4 address of four decimal numbers. */
  static boolean isV4(String text) {
    String[] parts = text.split("\\.", -1);
    if (parts.length != 4) {
      return false;
    }
    for (String part : parts) {
      if (!V4_PART.matcher(part).matches() || Integer.parseInt(part) > 255) {
        return false;
      }
    }
    return true;
  }

  private static ConfigurationException wrong(String text, String why) {
    return new ConfigurationException(
        Plain.quoted(text) + " is not an address ([tls://]HOST[:PORT]): " + why);
  }
}
