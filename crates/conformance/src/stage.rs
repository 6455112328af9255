//! The servers of a scenario, each at its place.

use std::{
    any::Any,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use ipseity_harness::{nobody::Nobody, silent::Silent};
use serde_json::{Value, json};

use crate::{
    certificates::Certificates,
    compare::matches,
    names::Names,
    scenario::{Scenario, ServerPlan, Spot, Work},
    scripted::Scripted,
};

/// How long the kit waits for a last connection that was begun.
const CONNECTIONS_PATIENCE: Duration = Duration::from_millis(500);

/// How many ports are tried until one is free at all addresses of a name. Nearly always the first is.
const PORTS_MAX: usize = 20;

/// What all scenarios of a run share.
pub struct Props {
    pub certificates: Certificates,
    pub names: Names,
}

/// The servers of a scenario.
pub struct Stage {
    actors: Vec<Actor>,
}

struct Actor {
    given: String,
    what: What,
    /// What is at the other addresses of its name.
    _others: Vec<Kept>,
}

/// It is there as long as this is kept.
type Kept = Box<dyn Any>;

enum What {
    Scripted(Scripted),
    Kept(#[expect(dead_code, reason = "it is only kept")] Kept),
}

impl Actor {
    fn new(plan: &ServerPlan, props: &Props, cut: Option<usize>) -> Result<Actor, String> {
        let (mut host, mut others) = (plan.host.clone(), Vec::new());
        let (port, what) = match &plan.work {
            Work::Closed => {
                let nobody = Nobody::new();
                (port_of(&nobody.address()), What::Kept(Box::new(nobody)))
            }
            Work::Silent => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let port = listener.local_addr().unwrap().port();
                (port, What::Kept(Box::new(listener)))
            }
            Work::Unreachable => {
                let silent = Silent::new();
                (silent.socket_address().port(), What::Kept(Box::new(silent)))
            }
            work @ (Work::Scripts { .. } | Work::Serve(_)) => {
                let tls = plan.tls.as_deref().map(|kind| {
                    let config = props.certificates.server(kind);
                    config.unwrap_or_else(|| panic!("there is no certificate {kind:?}"))
                });
                let listener;
                if plan.spots.is_empty() {
                    listener = TcpListener::bind("127.0.0.1:0").unwrap();
                } else {
                    let list: Vec<IpAddr> =
                        plan.spots.iter().map(|(address, _)| *address).collect();
                    host = props.names.name(&list).expect("each list has a name");
                    (listener, others) = occupy(&plan.spots)?;
                }
                let scripted = Scripted::start(listener, plan.face.clone(), work, tls, cut);
                (scripted.address().port(), What::Scripted(scripted))
            }
        };
        let scheme = if plan.is_given_tls { "tls://" } else { "" };
        Ok(Actor {
            given: format!("{scheme}{host}:{port}"),
            what,
            _others: others,
        })
    }
}

/// Takes one port at all these addresses: the listener of the server, and what is at the others.
fn occupy(spots: &[(IpAddr, Spot)]) -> Result<(TcpListener, Vec<Kept>), String> {
    let here = spots.iter().find(|(_, spot)| *spot == Spot::Here);
    let (here, _) = here.expect("a scenario has it at one of its addresses");
    let mut failed = String::new();
    for _ in 0..PORTS_MAX {
        let listener = TcpListener::bind((*here, 0)).map_err(|error| format!("{here}: {error}"))?;
        let port = listener.local_addr().unwrap().port();
        let others = spots.iter().filter(|(_, spot)| *spot != Spot::Here);
        let kept = |(address, spot): &(IpAddr, Spot)| -> io::Result<Kept> {
            let address = SocketAddr::new(*address, port);
            match spot {
                Spot::Frozen => Ok(Box::new(Silent::try_at(address)?)),
                _ => Ok(Box::new(Nobody::at(address)?)),
            }
        };
        match others.map(kept).collect() {
            Ok(others) => return Ok((listener, others)),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                return Err(format!("this machine has not all of {spots:?}"));
            }
            Err(error) => failed = error.to_string(),
        }
    }
    Err(format!("no port is free at all of {spots:?}: {failed}"))
}

impl Stage {
    /// Starts all servers.
    ///
    /// # Errors
    /// This machine has no such address.
    pub fn set(
        scenario: &Scenario,
        props: &Props,
        cut: Option<(usize, usize)>,
    ) -> Result<Stage, String> {
        let actor = |(index, plan): (usize, &ServerPlan)| {
            let cut = cut.filter(|(server, _)| *server == index).map(|(_, at)| at);
            Actor::new(plan, props, cut)
        };
        let actors: Result<_, _> = scenario.servers.iter().enumerate().map(actor).collect();
        Ok(Stage { actors: actors? })
    }

    /// The addresses that the client is given.
    pub fn given(&self) -> Vec<String> {
        self.actors
            .iter()
            .map(|actor| actor.given.clone())
            .collect()
    }

    /// Those servers that follow a script, with their places.
    pub fn scripted(&self) -> impl Iterator<Item = (usize, &Scripted)> {
        self.actors
            .iter()
            .enumerate()
            .filter_map(|(index, actor)| match &actor.what {
                What::Scripted(scripted) => Some((index, scripted)),
                What::Kept(_) => None,
            })
    }

    /// The server at this place.
    ///
    /// # Errors
    /// There is none with a script.
    pub fn of(&self, server: usize) -> Result<&Scripted, String> {
        let found = self.scripted().find(|(index, _)| *index == server);
        let (_, scripted) = found.ok_or("there is no such server with a script")?;
        Ok(scripted)
    }

    /// How many bytes each has sent.
    pub fn sent(&self) -> Vec<usize> {
        let sent = |actor: &Actor| match &actor.what {
            What::Scripted(scripted) => scripted.sent(),
            What::Kept(_) => 0,
        };
        self.actors.iter().map(sent).collect()
    }

    /// What is wrong with the number of connections.
    pub fn miscounted(&self, expected: &[Value]) -> Option<String> {
        let until = Instant::now() + CONNECTIONS_PATIENCE;
        loop {
            let wrong = self.scripted().find_map(|(index, scripted)| {
                let (expected, actual) = (expected.get(index)?, scripted.accepted());
                let is_right = expected.is_null() || matches(expected, &json!(actual));
                let text = format!("server {index} got {actual} connections, and not {expected}");
                (!is_right).then_some(text)
            });
            if wrong.is_none() || Instant::now() > until {
                return wrong;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends all, and returns what was not as the scripts say.
    pub fn end(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, actor) in self.actors.iter_mut().enumerate() {
            if let What::Scripted(scripted) = &mut actor.what {
                let told = scripted.end();
                faults.extend(told.iter().map(|fault| format!("server {index}, {fault}")));
            }
        }
        faults
    }
}

fn port_of(address: &str) -> u16 {
    let port = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    port.expect("an address ends with its port")
}
