//! Opens what keeps the state of a server, and says what a start has found there: a directory, a pid in etcd, or nothing.
//!
//! It is a part of the start of the program, so it may wait, and log that it does.

use std::{path::Path, sync::Arc, time::Duration};

use ipseity_core::{
    actor::{Life, Remembered},
    address::HostPort,
    identity::{Pid, Sequence},
    limits::{STEP_MIN, STORE_PATIENCE},
    time::Instant,
};
use ipseity_etcd::CallError;
use ipseity_pids::{Claimant, Waiting};
use log::{info, warn};

use crate::{
    options::{EtcdOptions, Options, StateAt},
    os::{self, Clock, Keeper},
    pid_store::{self, PidStoreOptions, Place, Told},
    store::{MembersFile, Started, Store, StoreOptions},
};

/// What follows from a start that waits.
pub const NOBODY_IS_SERVED: &str = "nobody is served before it is over";

/// What a start has opened and found.
#[derive(Debug)]
pub struct Opened {
    /// What keeps the state.
    pub keeper: Keeper,
    /// The pid of the server.
    pub pid: Pid,
    /// The random value of this process.
    pub session: u64,
    /// What was found and made durable.
    pub started: Started,
    /// What is remembered of the peers.
    pub remembered: Vec<Remembered>,
    /// Where the owners of the other pids are, each `host:port`.
    pub owners: Vec<String>,
    /// Until when it is confirmed that the server has its pid; `None` if it does not wait for that.
    pub lease: Option<Instant>,
    /// How long a request may wait for what keeps the state; `None` if that either answers or fails.
    pub patience: Option<Duration>,
}

/// Opens what keeps the state, as the options say, and begins a boot. `address` is where the server listens.
///
/// # Errors
/// One line for people.
pub fn open(options: &Options, address: &str, clock: Clock) -> Result<Opened, String> {
    match &options.state {
        StateAt::Directory(directory) => {
            let what = format!("opening the state directory {}", directory.display());
            os::tell_if_late(&what, NOBODY_IS_SERVED, || {
                open_directory(options, directory)
            })
        }
        StateAt::Nowhere => open_nothing(options),
        StateAt::Etcd(etcd) => claim(options, etcd, address, clock),
    }
}

fn open_directory(options: &Options, directory: &Path) -> Result<Opened, String> {
    let session = random()?;
    // Read before the store is opened: if it cannot be read, the start uses up no boot.
    let remembered = load_members(directory)?;
    let (store, started) = Store::open(&store_options(options, directory, session))
        .map_err(|error| error.to_string())?;
    Ok(Opened {
        keeper: Keeper::Directory(store),
        pid: options.pid.lowest(),
        session,
        started,
        remembered,
        owners: Vec::new(),
        lease: None,
        patience: None,
    })
}

/// What is remembered of the peers in a state directory.
///
/// # Errors
/// One line for people.
pub fn load_members(directory: &Path) -> Result<Vec<Remembered>, String> {
    MembersFile::new(directory)
        .load()
        .map_err(|error| error.to_string())
}

/// How the state directory is opened, or looked at.
pub fn store_options(options: &Options, directory: &Path, session: u64) -> StoreOptions {
    StoreOptions {
        directory: directory.to_owned(),
        makes_parents: options.is_default_dir,
        is_existing: options.is_existing,
        may_be_shared: options.may_be_shared,
        session,
        cluster: options.cluster.clone(),
        // A directory belongs to one pid.
        pid: options.pid.lowest(),
        first_step: STEP_MIN,
        recover_above: options.recover_above,
        members_lost: options.members_lost,
    }
}

/// The start of a server without a store: at the beginning, and with a ceiling that need not be raised.
fn open_nothing(options: &Options) -> Result<Opened, String> {
    let session = random()?;
    let incarnation = u128::from(random()?) << 64 | u128::from(random()?);
    let life = Life {
        boot: 1,
        session,
        ceiling: Sequence::MAX,
    };
    let started = Started {
        incarnation,
        boot: life.boot,
        sequence: options.recover_above.unwrap_or_default(),
        ceiling: Sequence::MAX,
        lives: vec![life],
        members_lost: false,
        recovered: options.recover_above.unwrap_or_default(),
        objected: None,
        skipped: 0,
        first_start: true,
        notes: Vec::new(),
    };
    Ok(Opened {
        keeper: Keeper::Nothing,
        pid: options.pid.lowest(),
        session,
        started,
        remembered: Vec::new(),
        owners: Vec::new(),
        lease: None,
        patience: None,
    })
}

/// Which pid is claimed in etcd, or looked at. `address` is where the server listens.
///
/// # Errors
/// Nobody can dial that address.
pub fn pid_store_options(
    options: &Options,
    etcd: &EtcdOptions,
    address: &str,
) -> Result<PidStoreOptions, String> {
    Ok(PidStoreOptions {
        place: Place {
            target: etcd.target.clone(),
            secrets: etcd.secrets.clone(),
            cluster: options.cluster.clone(),
        },
        wanted: options.pid,
        claimant: Claimant {
            address: own_address(options, address)?,
            since: os::time_of_day(),
            ttl: etcd.lease,
            step: STEP_MIN,
        },
        is_existing: options.is_existing,
    })
}

/// The address at which the other servers find this one, as they find it in etcd.
///
/// # Errors
/// Nobody can dial it.
fn own_address(options: &Options, listens_on: &str) -> Result<HostPort, String> {
    let text = options.advertise.as_deref().unwrap_or(listens_on);
    let address: Option<HostPort> = text.parse().ok();
    address.filter(HostPort::is_dialable).ok_or_else(|| {
        format!(
            "{text} is not an address that other servers can dial, and they find this server's address in etcd; give it \
             with --advertise"
        )
    })
}

fn claim(
    options: &Options,
    etcd: &EtcdOptions,
    address: &str,
    clock: Clock,
) -> Result<Opened, String> {
    let wanted = pid_store_options(options, etcd, address)?;
    let mut telling = Telling::default();
    let now: pid_store::Now = Arc::new(move || clock.now());
    let claimed = pid_store::claim(&wanted, &now, &mut |told| telling.tell(&told))?;
    info!(
        event = "pidTaken", pid = claimed.pid.get();
        "pid {} is this server's: boot {}, above sequence {}",
        claimed.pid, claimed.started.boot, claimed.started.sequence
    );
    info!(
        event = "membersInMemory";
        "the state is in etcd: this server remembers its peers only for as long as it runs, and has no vote where \
         --join=majority asks for one"
    );
    for (file, mode) in etcd.secrets.exposed() {
        warn!(
            event = "secretExposed";
            "others can read or write {} (mode {mode:04o}), with which this server shows etcd who it is: do chmod 600",
            file.display()
        );
    }
    Ok(Opened {
        keeper: Keeper::Pid(claimed.store, claimed.confirmed.at),
        pid: claimed.pid,
        session: claimed.session,
        started: claimed.started,
        remembered: Vec::new(),
        owners: claimed.owners,
        lease: etcd.waits_in_doubt.then_some(claimed.confirmed.until),
        patience: Some(STORE_PATIENCE),
    })
}

/// The lines about a claim: one for each thing that it waits for, and one for each other reason why a call has failed.
#[derive(Default)]
struct Telling {
    waits: Option<Waiting>,
    failed: Option<CallError>,
}

impl Telling {
    fn tell(&mut self, told: &Told<'_>) {
        match told {
            Told::Waits(waiting, up_to) => {
                if self.waits.as_ref() != Some(waiting) {
                    self.waits = Some((*waiting).clone());
                    warn!(
                        event = "pidWaits";
                        "waiting for up to {} s: {waiting}",
                        up_to.as_secs()
                    );
                }
            }
            Told::Failed(error) => {
                if self.failed.as_ref() != Some(error) {
                    self.failed = Some((*error).clone());
                    warn!(event = "storeFails", reason:% = error; "a call of etcd has failed and is tried again: {error}");
                }
            }
        }
    }
}

fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("cannot draw random bits: {error}"))
}
