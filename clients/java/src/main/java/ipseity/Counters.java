package ipseity;

/**
 * What a client or a source has done so far.
 *
 * @param requests identityRequests that were written
 * @param identities identities that were handed out to callers
 * @param connects connections that were made
 * @param failures servers that have failed, each time
 * @param refills blocks that a source has taken; 0 for a client
 * @param waits calls of a source that had to wait for a refill; 0 for a client
 * @param dropped identities that a source has dropped; 0 for a client
 */
public record Counters(
    long requests,
    long identities,
    long connects,
    long failures,
    long refills,
    long waits,
    long dropped) {}
