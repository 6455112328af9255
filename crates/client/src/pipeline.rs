//! Several requests in flight on one connection.

use std::{collections::VecDeque, iter::FusedIterator};

use super::{Block, Client, ClientError};

/// The replies to a line of requests, in the order of the requests; made by [`Client::pipeline`].
///
/// While one reply is handled the next are on their way, so that a distant server is waited for once and
/// not once per request. The counts are taken as requests are sent, so the line may be endless.
///
/// ```
/// # let server = ipseity_harness::fake::Fake::serving(1);
/// # let address = server.address();
/// use ipseity_client::Client;
///
/// let mut client = Client::new([address]).unwrap();
/// let mut identities = 0;
/// // 20 blocks of 500, four of them in flight.
/// for block in client.pipeline(4, std::iter::repeat_n(500, 20)) {
///     identities += block.unwrap().count();
/// }
/// assert_eq!(identities, 10_000);
/// ```
///
/// # Errors
/// What was in flight when a server failed is sent to the next, as in every call. A request that a server
/// refuses ([`ClientError::Refused`]) yields its error in its place, and the line goes on. After any
/// other error, when no server answers or one breaks the protocol, the line has ended and the iterator
/// yields `None`; the client can be used for a new one.
///
/// Dropping it early closes the connection if replies are still on their way: the identities in them are
/// skipped.
#[derive(Debug)]
pub struct Pipeline<'a, I> {
    client: &'a mut Client,
    counts: I,
    in_flight_max: usize,
    /// The counts of the requests that have no reply yet, the oldest first.
    in_flight: VecDeque<u32>,
    ended: bool,
}

impl<'a, I: Iterator<Item = u32>> Pipeline<'a, I> {
    pub(super) fn new(client: &'a mut Client, in_flight_max: usize, counts: I) -> Self {
        Pipeline {
            client,
            counts,
            in_flight_max,
            in_flight: VecDeque::new(),
            ended: false,
        }
    }
}

impl<I: Iterator<Item = u32>> Iterator for Pipeline<'_, I> {
    type Item = Result<Block, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let awaited = self.in_flight.len();
        while self.in_flight.len() < self.in_flight_max {
            match self.counts.next() {
                Some(count) => self.in_flight.push_back(count),
                None => break,
            }
        }
        if self.in_flight.is_empty() {
            self.ended = true;
            return None;
        }
        let (client, in_flight) = (&*self.client, &self.in_flight);
        let reply = client.attempt(awaited, |connection| {
            // On the same connection these are the new requests, on a new connection all of them.
            for count in in_flight.iter().skip(connection.awaited()) {
                client.ask(connection, *count)?;
            }
            client.receive_block(connection)
        });
        match &reply {
            Ok(_) | Err(ClientError::Refused { .. }) => {
                self.in_flight.pop_front();
            }
            Err(_) => self.ended = true,
        }
        Some(reply)
    }
}

impl<I: Iterator<Item = u32>> FusedIterator for Pipeline<'_, I> {}
