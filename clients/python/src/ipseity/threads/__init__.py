"""The client and the source for threads: blocking sockets' manners on sockets that do not block."""
