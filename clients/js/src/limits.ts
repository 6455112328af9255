/**
 * The bounds of the library, each with its reason. Names end with their unit: `MS` is milliseconds.
 */

/** The port of a server whose address names none. */
export const PORT_DEFAULT = 3264;

/** How long one server has to be looked up, to accept and to make a TLS handshake: ten times what a distant one needs. */
export const CONNECT_TIMEOUT_MS = 1000;

/** How long one reply may take. A server answers in well below a millisecond, and its disk seldom needs a second. */
export const REPLY_TIMEOUT_MS = 1000;

/** How long a whole call may take: time for one frozen server, and for another one to answer. */
export const CALL_TIMEOUT_MS = 2000;

/** A connection that was not used for so long is not used again. Firewalls forget one after a few minutes. */
export const IDLE_MAX_MS = 60_000;

/** What a source holds of a block after so long is dropped, so that its identities do not lag far behind others. */
export const BLOCK_AGE_MAX_MS = 60_000;

/** The longest time that can be set, 2^31 - 1 ms: the timers of Node.js take a longer one for 1 ms. */
export const TIME_MAX_MS = 2_147_483_647;

/** How many identities the first refill of a source takes, and every refill takes at least. */
export const REFILL_MIN = 16;

/** How many identities a refill of a source takes at most, unless set: at full speed enough for a few milliseconds. */
export const BLOCK_MAX = 65_536;

/** The most that `blockMax` can be set to: about as many as the 1024 requests of one line bring, at 1000 each. */
export const BLOCK_MAX_MAX = 1_048_576;

/** A source whose last refill came less than this long ago takes twice as many the next time. */
export const REFILL_SOON_MS = 100;

/** A source whose last refill came more than this long ago takes half as many the next time. */
export const REFILL_LATE_MS = 1000;

/** A source looks at the clock at least once in so many identities. So many take about as long as one look. */
export const TAKES_BETWEEN_LOOKS = 1024;

/**
 * The most requests under way on one connection. Their replies, 15 KiB together, fit the smallest socket buffers
 * in use, so a server never has to wait for this side to read.
 */
export const IN_FLIGHT_MAX = 1024;

/** For how long a server is avoided after its first failure. Each further one in a row doubles it. */
export const AVOID_FIRST_MS = 1000;

/** The longest time for which a server is avoided: one that comes back is noticed within it. */
export const AVOID_MAX_MS = 30_000;

/** The first wait after all servers have failed is a random time up to this. Each further one may be twice as long. */
export const PAUSE_FIRST_MS = 50;

/** The most that a wait between two rounds may be: several rounds fit into a call. */
export const PAUSE_MAX_MS = 400;

/** How long attempts at two addresses of a name are apart, unless the first fails before (RFC 8305, section 5). */
export const ATTEMPT_DELAY_MAX_MS = 250;

/** The shortest time between two attempts where many addresses share a short timeout (RFC 8305, section 5). */
export const ATTEMPT_DELAY_MIN_MS = 10;

/** How long a connection that is closed has to send its last bytes, before it is cut. */
export const CLOSE_MAX_MS = 1000;

/** The most bytes of a cluster's name. */
export const CLUSTER_BYTES_MAX = 255;

/** The most bytes of a server's version. */
export const VERSION_BYTES_MAX = 64;

/** The most bytes of the text of an errorReply. */
export const ERROR_TEXT_BYTES_MAX = 512;

/** The most that one request can ask for: its count has 32 bits. Servers take much less. */
export const COUNT_MAX = 4_294_967_295;
