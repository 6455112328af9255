/**
 * Identities from Ipseity servers: unique, increasing 64-bit numbers.
 *
 * <p>There are two ways to take them. A {@link ipseity.Client} asks a server for each call, and
 * keeps the order over all that it has seen. A {@link ipseity.Source} keeps a block and takes the
 * next one ahead of need, so that most calls take nanoseconds.
 *
 * <p>Both may be used by all threads of a program at once, platform threads and virtual ones. A
 * call that waits ends with {@link InterruptedException} when its thread is interrupted, and the
 * calls of other threads do not notice.
 */
package ipseity;
