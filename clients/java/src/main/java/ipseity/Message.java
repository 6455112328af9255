package ipseity;

/** What a client gets from a server. */
sealed interface Message {
  /** What it is called in texts. */
  String kind();

  /** Identities: {@code first}, {@code first + 1024}, and so on. The numbers are as they came. */
  record IdentityReply(long first, long count) implements Message {
    @Override
    public String kind() {
      return "identityReply";
    }
  }

  /** What a server says of itself. */
  record HelloReply(
      String cluster, String version, int wireVersion, long countMax, int pid, int standing)
      implements Message {
    @Override
    public String kind() {
      return "helloReply";
    }
  }

  /** What comes instead of a reply. */
  record ErrorReply(int code, String text) implements Message {
    @Override
    public String kind() {
      return "errorReply";
    }
  }
}
