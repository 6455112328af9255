"""The bounds of a client, each with its reason. Times are seconds."""

from __future__ import annotations

#: The port of a server that was given without one.
PORT_DEFAULT = 3264

#: One server: looking up its name, connecting over all its addresses, and the TLS handshake. Within one continent all
#: three together take less than a tenth of it.
CONNECT_TIMEOUT_DEFAULT = 1.0

#: One reply. A server answers within a millisecond, unless it waits for its disk.
REPLY_TIMEOUT_DEFAULT = 1.0

#: A whole call, over all servers and all tries: one server that is frozen, and one that answers.
CALL_TIMEOUT_DEFAULT = 2.0

#: A connection that was not used for so long is not used again. Firewalls forget connections after minutes.
IDLE_MAX_DEFAULT = 60.0

#: What a source still holds of a block after so long is dropped, so that identities are not much older than their use.
BLOCK_AGE_MAX_DEFAULT = 60.0

#: The longest time that any option can say, about a year. Far more than this overflows the timers of some systems.
SECONDS_MAX = 366 * 24 * 3600.0

#: The most requests under way on one connection. Their replies together, 15 KiB, fit the smallest socket buffers in use,
#: so a server never waits for this side to read.
IN_FLIGHT_MAX = 1024

#: The count of an identityRequest is a u32.
COUNT_MAX = 2**32 - 1

#: How long a server is avoided after its first failure. It doubles with each further one in a row, up to AVOID_MAX.
AVOID_FIRST = 1.0
AVOID_MAX = 30.0

#: The bound of the random wait after the first round over all servers. It doubles with each further one, up to WAIT_MAX.
WAIT_FIRST = 0.05
WAIT_MAX = 0.4

#: The size of a first refill, and of the smallest: a source that is used now and then holds next to nothing.
REFILL_MIN = 16

#: A refill that comes so soon after the one before is twice as large, and one that comes so late half as large.
REFILL_SOON = 0.1
REFILL_LATE = 1.0

#: The most identities in one refill: at a few million a second, they last for some ten milliseconds.
BLOCK_MAX_DEFAULT = 65_536

#: block_max has this bound, so that the requests of one refill, of which each may be for one identity only, do not fill the
#: memory.
BLOCK_MAX_MAX = 2**20

#: How far apart the attempts at two addresses of a name are: the Connection Attempt Delay that RFC 8305 recommends, and
#: the shortest that it allows (section 5).
ATTEMPT_DELAY = 0.25
ATTEMPT_DELAY_MIN = 0.01

#: The most threads of this process that look up names. A lookup cannot be cancelled, and can take half a minute while no
#: name server answers. A lookup beyond this waits for one of them to end, within its own time.
LOOKUPS_MAX = 64

#: How much is read from a socket at once: all replies that can be under way.
READ_BYTES = 65_536

#: Bounds of the protocol (docs/protocol.md).
CLUSTER_BYTES_MAX = 255
VERSION_BYTES_MAX = 64
ERROR_TEXT_BYTES_MAX = 512

#: How soon an attempt to connect notices that its client was closed.
CLOSE_NOTICED = 0.05

#: A refill and the call that waits for it have the same deadline. The call waits so much longer, because the refill knows
#: why nothing came.
REFILL_GRACE = 0.05

#: How much longer a timer of asyncio waits for what has arrived to be read. One turn of the loop is enough, and any time is
#: at least that.
LAST_LOOK = 0.001

#: A timer may end so much too early. A call that has no more time left than this is at its end.
TIMER_EARLY = 0.001
