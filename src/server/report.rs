//! What people hear of: the actor says what, and here it gets addresses and words.

use log::{error, info, warn};

use super::Server;
use crate::{
    actor::{Link, Report},
    edge::Edge,
};

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
            Report::Refused { from, error } => {
                let address = self.transport.address(*from);
                warn!("refused peer {address}: {}", error.message);
            }
            Report::RoundRefused { link, error } => {
                let name = self.link_name(*link);
                warn!("not synchronized with peer {name}: {}", error.message);
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

    pub(super) fn link_name(&self, link: Link) -> String {
        match link {
            Link::Dialed(peer) => self.peers.name(peer).to_owned(),
            Link::Accepted(connection) => {
                let pid = self.actor.links().get(&link).and_then(|state| state.pid);
                match pid.and_then(|pid| self.peers.named(pid)) {
                    Some(peer) => self.peers.name(peer).to_owned(),
                    None => self.transport.address(connection),
                }
            }
        }
    }
}
