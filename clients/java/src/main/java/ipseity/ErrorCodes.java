package ipseity;

/** The codes of errorReplies, and what a client does on each. */
final class ErrorCodes {
  static final int TLS_REQUIRED = 6;
  static final int TLS_NOT_OFFERED = 7;
  static final int BAD_COUNT = 32;
  static final int PID_CONFLICT = 37;
  static final int STALE_STATE = 38;
  static final int FOREIGN_CLUSTER = 64;

  /** What a client does. */
  enum Action {
    /** It goes on to the next server. */
    ELSEWHERE,
    /** The call ends. */
    REFUSED,
    /** The call ends, because the server is of another cluster. */
    WRONG_CLUSTER
  }

  private ErrorCodes() {}

  /** What a client does on this code. One that it does not know ends the call. */
  static Action action(int code) {
    return switch (code) {
      case 5, TLS_REQUIRED, TLS_NOT_OFFERED, 8 -> Action.ELSEWHERE;
      case 34, 35, 36, PID_CONFLICT, STALE_STATE, 39, 40, 43 -> Action.ELSEWHERE;
      case FOREIGN_CLUSTER -> Action.WRONG_CLUSTER;
      default -> Action.REFUSED;
    };
  }

  /** Whether the connection ends with this code. The ranges count for unknown codes too. */
  static boolean closes(int code) {
    return code < 32 || code >= 64;
  }

  /** Whether a server will say the same a moment later, so that waiting cannot help. */
  static boolean lasts(int code) {
    return switch (code) {
      case TLS_REQUIRED, TLS_NOT_OFFERED, 8, 34 -> true;
      default -> false;
    };
  }

  /** An errorReply in one line: its text comes from the network. */
  static String inWords(int code, String text) {
    return name(code) + ": " + Plain.text(text);
  }

  /** What to do about a request that was refused with this code. */
  static String advice(int code) {
    return switch (code) {
      case 1, 2, 3, 4 -> "check that the server is not older than this program";
      case BAD_COUNT -> "ask for as many as it allows, or raise its --max-count";
      case 33 -> "check where so large a number comes from";
      case 41 -> "show a certificate that it trusts, or ask from an address that it trusts";
      default -> "correct the request";
    };
  }

  private static String name(int code) {
    return switch (code) {
      case 1 -> "unknownKind";
      case 2 -> "badLength";
      case 3 -> "badBody";
      case 4 -> "incomplete";
      case 5 -> "tooManyConnections";
      case TLS_REQUIRED -> "tlsRequired";
      case TLS_NOT_OFFERED -> "tlsNotOffered";
      case 8 -> "certificateRefused";
      case BAD_COUNT -> "badCount";
      case 33 -> "advanceTooLarge";
      case 34 -> "exhausted";
      case 35 -> "storage";
      case 36 -> "stopping";
      case PID_CONFLICT -> "pidConflict";
      case STALE_STATE -> "staleState";
      case 39 -> "overBudget";
      case 40 -> "joining";
      case 41 -> "notTrusted";
      case 42 -> "unknownPid";
      case 43 -> "storeUnavailable";
      case FOREIGN_CLUSTER -> "foreignCluster";
      case 65 -> "foreignVersion";
      case 66 -> "samePid";
      case 67 -> "oneself";
      case 68 -> "notAPeer";
      case 69 -> "bootTooFar";
      case 70 -> "heldByAnother";
      default -> "code " + code;
    };
  }
}
