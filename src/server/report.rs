//! What people hear of: the actor says what, and here it gets addresses and words.

use log::{error, info, warn};

use super::Server;
use ipseity_core::{actor::Report, ids::Link};

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
            Report::AdvanceRefused { error } => {
                warn!(
                    "refused an advance that a client asked for: {} (told once a minute)",
                    error.message
                );
            }
            Report::Objected { standing, why } => {
                error!("NOT HANDING OUT IDENTITIES ({standing}), a peer objects: {why}");
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
            Report::StorageFailed => {
                error!(
                    "the state directory cannot be written: exiting; the next start reads what the disk \
                     really holds, and nothing is handed out twice"
                );
                self.begin_failing();
            }
        }
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
