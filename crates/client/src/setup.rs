//! What a client was told when it was made: its servers, and how to speak to them. And how its calls end when no server
//! answers as they wish. No clock, no network.

use std::time::Duration;

use ipseity_core::words::ClusterName;

use crate::{
    ClientError, ClientOptions, Dialer, First, ServerAddress, ServerAddressError, ServerFailure,
    error::FailureCause,
    judge::{Trouble, is_lasting},
};

/// What a client was told.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    // Never empty.
    pub(crate) servers: Vec<ServerAddress>,
    pub(crate) options: ClientOptions,
    pub(crate) cluster: Option<ClusterName>,
    /// Whether each connection begins with a hello, even where no cluster is expected.
    pub(crate) greets: bool,
    pub(crate) dialer: Option<Dialer>,
}

/// What a connection says first.
#[derive(Clone, Debug)]
pub(crate) enum Greeting {
    /// Nothing: the first request comes at once.
    None,
    /// It asks who the server is, and names the cluster that is expected, if one is.
    Hello(Option<ClusterName>),
}

impl Setup {
    /// # Errors
    /// [`ClientError::NoServers`] if there are none, [`ClientError::Address`] if one is not an address, and
    /// [`ClientError::NoTime`] if a time is zero.
    pub(crate) fn new<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: ClientOptions,
    ) -> Result<Setup, ClientError> {
        let servers = servers
            .into_iter()
            .map(|server| server.as_ref().parse())
            .collect::<Result<Vec<ServerAddress>, ServerAddressError>>()
            .map_err(ClientError::Address)?;
        for (name, time) in [
            ("connect_timeout", options.connect_timeout),
            ("reply_timeout", options.reply_timeout),
            ("call_timeout", options.call_timeout),
            ("idle_max", options.idle_max),
        ] {
            more_than_zero(name, time)?;
        }
        match servers.is_empty() {
            true => Err(ClientError::NoServers),
            false => Ok(Setup {
                servers,
                options,
                cluster: None,
                greets: false,
                dialer: None,
            }),
        }
    }

    /// The place of the server that is tried first.
    pub(crate) fn first(&self) -> usize {
        match self.options.first {
            First::Random => fastrand::usize(..self.servers.len()),
            First::Place(place) => place % self.servers.len(),
        }
    }

    pub(crate) fn greeting(&self) -> Greeting {
        match &self.cluster {
            None if !self.greets => Greeting::None,
            expected => Greeting::Hello(expected.clone()),
        }
    }

    /// How a call ends after which no other server is asked.
    pub(crate) fn ended(&self, place: usize, trouble: Trouble) -> ClientError {
        let server = self.servers[place].clone();
        match trouble {
            Trouble::Answered(reply) => ClientError::Refused { server, reply },
            Trouble::Foreign(reply) => ClientError::WrongCluster {
                server,
                expected: self.cluster.clone(),
                reply,
            },
            Trouble::Violated(violation) => ClientError::Violation { server, violation },
            Trouble::Failed(cause) => {
                ClientError::Unavailable(vec![ServerFailure { server, cause }])
            }
        }
    }

    /// No server has answered: those that were tried, and then those for which there was no time.
    pub(crate) fn unavailable(&self, failures: Failures) -> ClientError {
        let failures = failures.0;
        let is_tried = |place: &usize| failures.iter().any(|(tried, _)| tried == place);
        let places = 0..self.servers.len();
        let untried: Vec<usize> = places.filter(|place| !is_tried(place)).collect();
        let untried = untried.iter().map(|place| (*place, FailureCause::NotTried));
        let all = failures.into_iter().chain(untried);
        let all = all.map(|(place, cause)| ServerFailure {
            server: self.servers[place].clone(),
            cause,
        });
        ClientError::Unavailable(all.collect())
    }

    /// The same for a call that has waited for others to ask, and whose time is over.
    pub(crate) fn too_late(&self, limit: Duration) -> ClientError {
        let failure = |server: &ServerAddress| ServerFailure {
            server: server.clone(),
            cause: FailureCause::Timeout(limit),
        };
        ClientError::Unavailable(self.servers.iter().map(failure).collect())
    }
}

/// # Errors
/// [`ClientError::NoTime`] if the option with this name is zero.
pub(crate) fn more_than_zero(name: &'static str, time: Duration) -> Result<(), ClientError> {
    match time.is_zero() {
        true => Err(ClientError::NoTime(name)),
        false => Ok(()),
    }
}

/// The servers that have failed in one call, in the order in which they did so first, each with its last failure.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<(usize, FailureCause)>);

impl Failures {
    pub(crate) fn note(&mut self, place: usize, cause: FailureCause) {
        match self.0.iter_mut().find(|(other, _)| *other == place) {
            Some((_, last)) => *last = cause,
            None => self.0.push((place, cause)),
        }
    }

    /// The same, unless there is a failure of this server already.
    pub(crate) fn note_first(&mut self, place: usize, cause: FailureCause) {
        if !self.0.iter().any(|(other, _)| *other == place) {
            self.0.push((place, cause));
        }
    }

    /// Whether waiting cannot help.
    pub(crate) fn are_lasting(&self) -> bool {
        self.0.iter().all(|(_, cause)| is_lasting(cause))
    }
}
