//! What clients ask, and on which processors they and the server run.

use ipseity_harness::measured;

/// The load that the clients make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub connections: usize,
    pub in_flight: usize,
    /// Identities in a request.
    pub count: u32,
    /// How many requests are sent a second in all, whether or not they are answered. `None`: as many as are answered.
    pub rate: Option<u32>,
}

impl Load {
    /// One identity a request.
    pub const fn new(connections: usize, in_flight: usize) -> Load {
        Load {
            connections,
            in_flight,
            count: 1,
            rate: None,
        }
    }

    /// The same at a fixed rate.
    pub const fn at_rate(self, rate: u32) -> Load {
        Load {
            rate: Some(rate),
            ..self
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.connections, self.in_flight)
    }
}

/// The CPUs of the server and of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Both use the same CPU. This measures the work of a request, and not how two virtual processors share a physical
    /// one.
    OneCpu,
    /// One CPU each.
    TwoCpus,
    /// Both may use all CPUs.
    Free,
}

impl Place {
    /// The words in front of the server's command line.
    pub fn of_server(self) -> Vec<String> {
        self.pinned(0)
    }

    /// The words in front of the clients' command line.
    pub fn of_clients(self) -> Vec<String> {
        self.pinned(1)
    }

    fn pinned(self, turn: usize) -> Vec<String> {
        let cpus = measured::cpus();
        let cpu = match self {
            Place::OneCpu => &cpus[0],
            Place::TwoCpus => &cpus[turn.min(cpus.len() - 1)],
            Place::Free => return Vec::new(),
        };
        measured::line(&["taskset", "-c", cpu])
    }
}
