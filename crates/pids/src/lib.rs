//! The pids of a cluster whose store is etcd: who has which pid, and how far each may count.
//!
//! It does no I/O and reads no clock: each procedure says which call it wants next, and is given the answer.
//!
//! - [`layout`]: the keys and the values.
//! - [`survey`]: what one read has found.
//! - [`breach`]: signs that the store is not what it was.
//! - [`tenure`]: what a life knows of its own pid, and why no sequence is handed out twice.
//! - [`directory`]: a state directory whose pid is brought.
//!
//! And the procedures, each a [`Procedure`](ipseity_etcd::Procedure) that says what to call next:
//!
//! | procedure | for whom | what it does |
//! | --- | --- | --- |
//! | [`Look`] | everybody | reads all that is there |
//! | [`Claim`] | a start | takes a pid |
//! | [`Raise`] | the life | raises its ceiling |
//! | [`Keep`] | the life | keeps its lease, looks whether the pid is still its own, and who has the others |
//! | [`Stop`] | the life | notes the exact sequence and leaves the pid to others |
//! | [`Import`] | an operator | brings a pid from a state directory |
//! | [`Epoch`] | an operator | says after a restore that this etcd is the right one, and where all pids begin |

pub mod breach;
pub mod directory;
pub mod layout;
pub mod survey;
pub mod tenure;

mod claim;
mod epoch;
mod floor;
mod found;
mod import;
mod keep;
mod look;
mod pause;
mod raise;
mod stop;

pub use self::{
    breach::Breach,
    claim::{Choice, Claim, EPOCH_BOOTS, NoClaim, Waiting, Wanted, choose, free},
    directory::{Directory, Held, OpenDirectory},
    epoch::{Epoch, NoEpoch, Raised},
    floor::floor,
    import::{Import, Imported, NoImport},
    keep::{Keep, Kept},
    layout::Layout,
    look::{Look, NoLook},
    raise::Raise,
    stop::Stop,
    survey::Survey,
    tenure::{Claimant, Lost, Mark, Tenure},
};
