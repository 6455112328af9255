//! What people hear of: the actor says what, and here it gets addresses and words.

use log::{error, info, warn};

use super::Server;
use ipseity_core::{actor::Report, identity::Sequence, ids::Link};

use crate::edge::Edge;

impl<E: Edge> Server<E> {
    pub(super) fn report(&mut self, report: &Report) {
        match report {
            Report::PeerUp {
                link,
                pid,
                sequence,
            } => {
                info!(
                    "peer {} is up: pid {pid}, sequence {sequence}",
                    self.link_name(*link)
                );
            }
            Report::PeerDown { link, pid } => self.tell_of_loss(*link, *pid),
            Report::Refused { from, error } => {
                let address = self.transport.address(*from);
                warn!("refused peer {address}: {}", error.message);
            }
            Report::RoundRefused { link, error } => {
                let name = self.link_name(*link);
                warn!("not synchronized with peer {name}: {}", error.message);
            }
            Report::AdvanceRefused { from, error } => {
                let address = self.transport.address(*from);
                warn!(
                    "refused an advance that the client at {address} asked for: {} (told once a minute)",
                    error.message
                );
            }
            Report::Raised {
                link,
                by,
                to,
                untold,
            } => self.tell_of_raise(*link, *by, *to, *untold),
            Report::Advanced {
                from,
                above,
                sequence,
            } => {
                let address = self.transport.address(*from);
                warn!(
                    "an operator at {address} has this server go on above sequence {above}; it was at {sequence}"
                );
            }
            Report::Forgot {
                from,
                pid,
                sequence,
            } => {
                let address = self.transport.address(*from);
                warn!(
                    "an operator at {address} has this server forget pid {pid}, which had come to sequence \
                     {sequence}"
                );
            }
            Report::Objected {
                standing,
                above,
                why,
            } => {
                error!(
                    "NOT HANDING OUT IDENTITIES ({standing}), a peer objects: {why} (SEQUENCE: at least {above})"
                );
            }
            Report::ObjectedHigher { above } => {
                error!(
                    "NOT HANDING OUT IDENTITIES: by what a peer says now, --recover-above would have to be at \
                     least {above}"
                );
            }
            Report::Overruled { link, pid, above } => {
                let name = self.link_name(*link);
                warn!("pid {pid} at {name} goes on above sequence {above} by its operator's word");
            }
            Report::Joined { answered, asked } => {
                info!("asked the peers, {answered} of {asked} answered: handing out identities");
            }
            Report::JoinWaits => {
                warn!(
                    "no peer has answered yet, and --join=require wants one: not handing out identities \
                     until one does"
                );
            }
            Report::Exhaustion { percent, remaining } => {
                warn!(
                    "{percent} % of the sequence is used up: {remaining} are left, and it never wraps"
                );
            }
            Report::Exhausted => {
                error!(
                    "THE SEQUENCE IS USED UP: no identity is left, every request for one is refused, and no \
                     restart changes that; clients need another cluster (see docs/operations.md)"
                );
            }
            Report::WriteLate { took, waiting } => {
                warn!(
                    "a write to the state directory has taken {} ms so far, and {waiting} requests wait for \
                     it: look at the disk",
                    took.as_millis()
                );
            }
            Report::WriteOver { took, waited } => {
                warn!(
                    "the write to the state directory that took so long is over after {} ms, and {waited} \
                     requests waited for it",
                    took.as_millis()
                );
            }
            Report::StorageFailed => {
                error!(
                    "the state directory cannot be written: exiting; the next start reads what the disk \
                     really holds, and nothing is handed out twice"
                );
                self.begin_failing();
            }
        }
    }

    fn tell_of_raise(&self, link: Link, by: u64, to: Sequence, untold: u64) {
        let who = match self.actor.links().contains_key(&link) {
            true => format!("peer {}", self.link_name(link)),
            false => format!("the client at {}", self.link_address(link)),
        };
        let more = match untold {
            0 => String::new(),
            untold => format!(" (and {untold} more like this were not told)"),
        };
        info!("{who} raises the sequence by {by}, to {to}{more}");
    }

    /// Where the other end of a link is. Unlike its name it tells apart two servers that use one pid.
    pub(super) fn link_address(&self, link: Link) -> String {
        match link {
            Link::Dialed(peer) => self.peers.name(peer).to_owned(),
            Link::Accepted(connection) => self.transport.address(connection),
        }
    }

    /// The name of the peer at the other end of a link, as it was given, or else where it is.
    pub(super) fn link_name(&self, link: Link) -> String {
        let pid = self.actor.links().get(&link).and_then(|state| state.pid);
        match (link, pid.and_then(|pid| self.peers.named(pid))) {
            (Link::Accepted(_), Some(peer)) => self.peers.name(peer).to_owned(),
            _ => self.link_address(link),
        }
    }
}
