//! What is to be measured.

use std::{path::PathBuf, time::Duration};

use ipseity_client::{ClientOptions, Dialer, ServerAddress};

use crate::{pace::Amount, target::Target};

/// What is to be measured, and how it is shown.
#[derive(Debug)]
pub struct Settings {
    /// The kind of the servers.
    pub target: Target,
    /// The servers, over which the connections are spread.
    pub servers: Vec<ServerAddress>,
    /// The numbers of connections to measure with.
    pub points: Vec<usize>,
    /// Whether the points are a sweep.
    pub is_sweep: bool,
    /// How many requests each connection keeps in flight, 1 or more.
    pub in_flight: u32,
    /// How many identities each request asks for, 1 or more.
    pub count: u32,
    /// How much is sent in a round.
    pub amount: Amount,
    /// Requests a second over all connections; `None` for as fast as they are answered.
    pub rate: Option<u64>,
    /// How long is sent before measuring begins.
    pub warmup: Duration,
    /// How often each point is measured.
    pub rounds: usize,
    /// Processes whose processor time is measured.
    pub processes: Vec<u32>,
    /// How long a connection and a reply may take.
    pub timeouts: ClientOptions,
    /// What is needed for servers that are spoken to by TLS.
    pub dialer: Option<Dialer>,
    /// How the result is written.
    pub format: Format,
    /// The file that a sweep is drawn into.
    pub plot: Option<PathBuf>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, and a table for a sweep.
    Text,
    /// One JSON object, over several lines.
    Json,
    /// A header, and a row for each round.
    Csv,
}

impl Settings {
    /// What is measured, in a line.
    pub fn summary(&self) -> String {
        let plural = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        let connections = match self.points[..] {
            [count] if !self.is_sweep => plural(count as u64, "connection"),
            _ => "a sweep of connections".to_owned(),
        };
        let amount = match self.amount {
            Amount::Requests(count) => plural(count, "request"),
            Amount::For(duration) => humantime::format_duration(duration).to_string(),
        };
        let rate = match self.rate {
            Some(rate) => format!(", {} a second", plural(rate, "request")),
            None => String::new(),
        };
        let count = match self.count {
            1 => String::new(),
            count => format!(", {count} identities a request"),
        };
        format!(
            "{} {}: {connections}, {} in flight on each{count}{rate}, {amount}",
            self.target,
            servers.join(","),
            plural(u64::from(self.in_flight), "request"),
        )
    }
}
