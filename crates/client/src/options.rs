//! How long a client waits, and in which order it tries its servers.

use std::time::Duration;

/// Firewalls forget a connection after some minutes, or sooner; a new one costs a round trip.
const IDLE_MAX_DEFAULT: Duration = Duration::from_secs(60);

/// How long a [`Client`](crate::Client) waits, and which server it tries first.
///
/// A time of zero is an error ([`ClientError::NoTime`](crate::ClientError::NoTime)), and one of less than 1 ms is taken as 1 ms
/// ([`TIMEOUT_MIN`](crate::limits::TIMEOUT_MIN)).
///
/// ```
/// use std::time::Duration;
/// use ipseity_client::ClientOptions;
///
/// let options = ClientOptions { reply_timeout: Duration::from_millis(250), ..ClientOptions::default() };
/// assert_eq!(options.connect_timeout, Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The time in which a server must accept a connection, with the lookup of its name, over all addresses that the name
    /// has, and with the TLS handshake: 1 second unless set.
    pub connect_timeout: Duration,
    /// The time in which a reply must be complete, from the moment that the call begins to wait for it, however its bytes
    /// arrive: 1 second unless set.
    pub reply_timeout: Duration,
    /// The time of a whole call, over all servers and all tries, and with the time that it waits for other calls of the same
    /// client: 2 seconds unless set.
    pub call_timeout: Duration,
    /// A connection that was not used for so long is not used again: 60 seconds unless set. A firewall between may have
    /// forgotten it, and then a request would wait for its whole time.
    pub idle_max: Duration,
    /// Which server is tried first.
    pub first: First,
    /// How often each server is tried.
    pub rounds: Rounds,
}

/// Which server of the list is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum First {
    /// A random one, so that many clients spread over all servers.
    #[default]
    Random,
    /// The one with this place in the list, counted from 0. A place behind the end counts on from the beginning.
    Place(usize),
}

/// How often a call tries each server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounds {
    /// Again and again, with waits between, until the time of the call is over or waiting cannot help.
    #[default]
    UntilTime,
    /// Once. A person who waits for an answer wants to be told.
    One,
}

impl ClientOptions {
    /// What a person at a terminal expects: each server is tried once, in the order of the list, and gets 2 seconds to connect
    /// and 5 to reply. The call has no bound of its own.
    pub const fn one_round() -> ClientOptions {
        ClientOptions {
            connect_timeout: Duration::from_secs(2),
            reply_timeout: Duration::from_secs(5),
            call_timeout: Duration::MAX,
            idle_max: IDLE_MAX_DEFAULT,
            first: First::Place(0),
            rounds: Rounds::One,
        }
    }
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            connect_timeout: Duration::from_secs(1),
            reply_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(2),
            idle_max: IDLE_MAX_DEFAULT,
            first: First::Random,
            rounds: Rounds::UntilTime,
        }
    }
}
