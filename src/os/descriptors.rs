//! File descriptors: as many as the connections need, or as many connections as there are descriptors for.

use std::fmt;

use ipseity_console::raise_open_files;

use crate::limits::{
    DESCRIPTORS_MIN, DESCRIPTORS_OTHER, OWNERS_SHARE, REMEMBERED_DIALED_MAX,
    RESERVE_CONNECTIONS_MAX, RESERVE_HTTP_MAX,
};

/// Connections that there can be at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Those of clients and peers.
    pub connections: usize,
    /// Those by HTTP; none without `--http`.
    pub http: usize,
}

/// The limit of the process after it was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// What there are descriptors for, at most what is wanted.
    pub places: Places,
    /// What was asked for.
    pub wanted: Places,
    /// Descriptors that the process may have.
    pub limit: u64,
    /// Descriptors that would be enough for all that is wanted.
    pub needed: u64,
}

impl Descriptors {
    /// Says what there are too few for, and what to do. `None` if there are enough.
    pub fn shortage(&self) -> Option<String> {
        (self.places != self.wanted).then(|| {
            format!(
                "{} file descriptors allow {}, not {}: raise the hard limit (ulimit -Hn, LimitNOFILE=) to {} or lower \
                 --max-connections",
                self.limit,
                self.allowed(),
                self.asked(),
                self.needed
            )
        })
    }

    /// What there are descriptors for, in words.
    fn allowed(&self) -> String {
        let Places { connections, http } = self.places;
        let connections = match connections {
            1 => "1 connection".to_owned(),
            connections => format!("{connections} connections"),
        };
        match self.wanted.http {
            0 => connections,
            _ => format!("{connections} and {http} by HTTP"),
        }
    }

    /// What is wanted, in words that go with [`allowed`](Self::allowed).
    fn asked(&self) -> String {
        let Places { connections, http } = self.wanted;
        match http {
            0 => connections.to_string(),
            _ => format!("{connections} and {http}"),
        }
    }
}

/// There are too few descriptors to serve even one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewDescriptors {
    limit: u64,
    least: u64,
}

impl fmt::Display for TooFewDescriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooFewDescriptors { limit, least } = self;
        write!(
            f,
            "this process may have {limit} open files, and needs {least} to serve one client; raise the hard limit \
             (ulimit -Hn, LimitNOFILE=)"
        )
    }
}

impl std::error::Error for TooFewDescriptors {}

/// To how many others there may be connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Addresses of peers that are named.
    pub peers: usize,
    /// Owners of other pids that a store may name later.
    pub owners: usize,
}

/// Raises the soft limit of open files (`ulimit -n`) towards what so many connections and those to others need, as far as
/// the hard limit goes, and says how many that leaves room for. The reserves are left out of those numbers, so that a flood
/// still gets its answer, probes too, and peers still get in.
///
/// # Errors
/// The limit leaves no room for a single client.
pub fn raise_limit(wanted: Places, others: Others) -> Result<Descriptors, TooFewDescriptors> {
    let limit = raise_open_files(needed(wanted, others));
    share(wanted, others, limit)
}

/// Descriptors that are not for those who have a place.
fn other(wanted: Places, others: Others) -> usize {
    let http = match wanted.http {
        0 => 0,
        _ => RESERVE_HTTP_MAX,
    };
    // Peers that came in through the reserve may be as many again.
    let reserves = 2 * RESERVE_CONNECTIONS_MAX + http;
    DESCRIPTORS_OTHER + reserves + REMEMBERED_DIALED_MAX + others.peers + others.owners
}

fn needed(wanted: Places, others: Others) -> u64 {
    (wanted.connections + wanted.http + other(wanted, others)) as u64
}

/// What a limit leaves room for.
fn share(wanted: Places, others: Others, limit: u64) -> Result<Descriptors, TooFewDescriptors> {
    let least = (DESCRIPTORS_MIN + others.peers) as u64;
    if limit < least {
        return Err(TooFewDescriptors { limit, least });
    }
    let all = usize::try_from(limit).unwrap_or(usize::MAX);
    let kept = Others {
        owners: others.owners.min(all / OWNERS_SHARE),
        ..others
    };
    // With few descriptors the reserves have to share them.
    let room = all.saturating_sub(other(wanted, kept)).max(1);
    // Most of a small room is for clients.
    let left = room.saturating_sub(wanted.connections);
    let http = wanted.http.min(room.div_ceil(4).max(left));
    let places = Places {
        connections: wanted.connections.min(room.saturating_sub(http).max(1)),
        http,
    };
    Ok(Descriptors {
        places,
        wanted,
        limit,
        needed: needed(wanted, others),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OWNERS_MAX;

    const NO_HTTP: Places = Places {
        connections: 10_000,
        http: 0,
    };
    const HTTP: Places = Places {
        http: 1024,
        ..NO_HTTP
    };

    const ALONE: Others = Others {
        peers: 0,
        owners: 0,
    };
    const OWNERS: Others = Others {
        owners: OWNERS_MAX,
        ..ALONE
    };

    fn places(wanted: Places, limit: u64) -> (usize, usize) {
        let Places { connections, http } = share(wanted, ALONE, limit).unwrap().places;
        (connections, http)
    }

    #[test]
    fn what_is_needed_is_enough_and_one_less_is_not() {
        let two_peers = Others { peers: 2, ..ALONE };
        for (wanted, others, expected) in [
            (NO_HTTP, ALONE, 10_256),
            (NO_HTTP, two_peers, 10_258),
            (NO_HTTP, OWNERS, 11_279),
            (HTTP, ALONE, 11_344),
        ] {
            let most = share(wanted, others, expected).unwrap();
            assert_eq!(most.needed, expected);
            assert_eq!(most.shortage(), None);
            let less = share(wanted, others, expected - 1).unwrap();
            assert!(less.shortage().is_some());
        }
    }

    #[test]
    fn http_gets_a_quarter_of_a_small_room_and_what_the_others_leave() {
        assert_eq!(places(NO_HTTP, 300), (44, 0));
        assert_eq!(places(HTTP, 256), (1, 1));
        assert_eq!(places(HTTP, 720), (300, 100));
        let few = Places {
            connections: 50,
            ..HTTP
        };
        assert_eq!(places(few, 720), (50, 350));
        assert_eq!(places(HTTP, u64::MAX), (10_000, 1024));
        assert!(share(HTTP, ALONE, DESCRIPTORS_MIN as u64 - 1).is_err());
    }

    #[test]
    fn owners_have_places_of_their_own_and_an_eighth_of_a_small_room() {
        let places = |limit| share(NO_HTTP, OWNERS, limit).unwrap().places.connections;
        // Without owners it would be 768.
        assert_eq!(places(1024), 640);
        assert_eq!(places(11_278), 9_999);
        assert_eq!(places(DESCRIPTORS_MIN as u64), 1);
    }

    #[test]
    fn one_is_one_connection_and_http_is_named_where_it_is_wanted() {
        let shortage = |wanted, limit| share(wanted, ALONE, limit).unwrap().shortage().unwrap();
        for (wanted, limit, said) in [
            (
                NO_HTTP,
                256,
                "256 file descriptors allow 1 connection, not 10000: ",
            ),
            (
                NO_HTTP,
                300,
                "300 file descriptors allow 44 connections, not 10000: ",
            ),
            (
                HTTP,
                256,
                "256 file descriptors allow 1 connection and 1 by HTTP, not 10000 and 1024: ",
            ),
        ] {
            let text = shortage(wanted, limit);
            assert!(text.starts_with(said), "{text}");
        }
        let text = shortage(HTTP, 256);
        assert!(
            text.contains(" to 11344 or lower --max-connections"),
            "{text}"
        );
    }
}
