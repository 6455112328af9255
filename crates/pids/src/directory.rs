//! A state directory whose pid is brought into etcd, as far as the one who brings it has to know. How it is read is known
//! elsewhere.

use std::path::Path;

use ipseity_core::words::ClusterName;

use crate::import::Imported;

/// What a state directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// What is brought. Without lives it was never started.
    pub imported: Imported,
    /// A peer has objected to it, so no pid can go on from it.
    pub is_objected: bool,
    /// The newest record may have been lost, so there may have been a start that is not known.
    pub has_lost_record: bool,
}

/// A state directory that no server can use while this lives.
pub trait Directory {
    /// What it holds.
    fn held(&self) -> &Held;

    /// Its state was put aside before.
    fn is_aside(&self) -> bool;

    /// Puts its state aside, so that no server starts there, and notes the place into which it is brought.
    ///
    /// # Errors
    /// One line for people. So is a state that was put aside for another place, where its pid may go on, and one that
    /// was brought already: then it is not there any more, and nobody knows how far it went.
    fn put_aside(&mut self, place: &str) -> Result<(), String>;

    /// Notes that its state was brought.
    ///
    /// # Errors
    /// One line for people.
    fn note_brought(&mut self, place: &str) -> Result<(), String>;

    /// Puts its state back, because it was certainly not brought.
    ///
    /// # Errors
    /// One line for people.
    fn put_back(&mut self) -> Result<(), String>;
}

/// Takes a state directory, or says in one line why not.
pub type OpenDirectory = fn(&Path) -> Result<Box<dyn Directory>, String>;
