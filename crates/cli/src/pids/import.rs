//! `pids import`: brings the pid of a state directory.
//!
//! How a state directory is read is known to the crate of the server, which this one cannot name: the program gives it the
//! way, see [`open_with`].

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use getopts::Matches;
use ipseity_console::dashed;
use ipseity_core::words::ClusterName;
use ipseity_pids::{Directory, Held, Import, Imported, NoImport, OpenDirectory};
use serde::Serialize;

use super::place::Place;
use crate::{
    failure::Failure,
    json::write_line,
    servers,
    shape::{self, Shape},
};

/// The flag that lets an import make a cluster.
pub(super) const NEW_CLUSTER: &str = "new-cluster";

static OPEN: OnceLock<OpenDirectory> = OnceLock::new();

/// Says how a state directory is taken. It is called once, before anything else.
pub(crate) fn open_with(open: OpenDirectory) {
    // A second call would change nothing.
    let _ = OPEN.set(open);
}

pub(super) fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let shape = shape::shape(matches)?;
    shape.not_csv("import")?;
    let path = matches
        .opt_str("data-dir")
        .map(PathBuf::from)
        .ok_or_else(|| Failure::Usage("--data-dir DIR is missing".to_owned()))?;
    let open = OPEN
        .get()
        .ok_or_else(|| Failure::Failed("this program cannot read state directories".to_owned()))?;
    let mut directory = open(&path).map_err(Failure::Failed)?;
    let held = directory.held().clone();
    check(&held, &path, servers::cluster(matches)?)?;
    let mut place = Place::of(matches, held.cluster)?;
    let may_make = matches.opt_present(NEW_CLUSTER);
    let done = bring(&mut *directory, held.imported, &mut place, may_make)?;
    let report = Report {
        pid: done.pid,
        sequence: done.ceiling.to_string(),
        cluster: place.cluster.to_string(),
        made_cluster: done.made_cluster,
        store: place.target.to_string(),
    };
    match shape {
        Shape::Json => write_line(out, &report)?,
        Shape::Text | Shape::Csv => {
            writeln!(
                out,
                "pid {} is in {} now, and goes on above sequence {}; start its server with --store in place of --data-dir",
                report.pid, report.store, report.sequence
            )?;
            if report.made_cluster {
                writeln!(
                    out,
                    "cluster {:?} is new there; bring its other pids to the same --store",
                    report.cluster
                )?;
            }
        }
    }
    Ok(())
}

/// Refuses what could not go on.
fn check(held: &Held, path: &Path, cluster: Option<ClusterName>) -> Result<(), Failure> {
    let path = path.display();
    if let Some(cluster) = cluster.filter(|cluster| *cluster != held.cluster) {
        return Err(Failure::Failed(format!(
            "the state directory {path} belongs to the cluster {:?}, and not to {:?}; leave --cluster out, or name that one",
            held.cluster.as_str(),
            cluster.as_str()
        )));
    }
    let why = if held.imported.lives.is_empty() {
        "no server was ever started there, so there is nothing to bring; start one with --store"
    } else if held.is_objected {
        "a peer has objected to it; decide that first: see docs/operations.md, a server that stopped handing out identities"
    } else if held.has_lost_record {
        "its newest record may have been lost; start its server once and stop it, and then import it"
    } else {
        return Ok(());
    };
    Err(Failure::Failed(format!(
        "the state directory {path}: {why}"
    )))
}

/// What was brought.
struct Brought {
    pid: u16,
    ceiling: u64,
    made_cluster: bool,
}

fn bring(
    directory: &mut dyn Directory,
    imported: Imported,
    place: &mut Place,
    may_make: bool,
) -> Result<Brought, Failure> {
    let (pid, ceiling) = (imported.pid, imported.ceiling);
    // Most of what can be wrong is found before anything is changed.
    let survey = place.look()?;
    let makes_cluster = survey.meta.is_absent() && survey.pids.is_empty();
    if makes_cluster && !may_make {
        return Err(Failure::Failed(no_cluster(place)));
    }
    let brought = Brought {
        pid: pid.get(),
        ceiling: ceiling.get(),
        made_cluster: makes_cluster,
    };
    let target = place.target.to_string();
    if let Some(state) = survey.pid(pid).state.seen() {
        let is_this = state.value.incarnation == imported.incarnation;
        return match directory.is_aside() && is_this {
            true => note(directory, &target, brought),
            false => Err(Failure::Failed(NoImport::There { pid }.to_string())),
        };
    }
    // What an earlier import has put aside may go on elsewhere, so it stays aside.
    let may_put_back = !directory.is_aside();
    directory.put_aside(&target).map_err(Failure::Failed)?;
    match place.run(&mut Import::new(place.layout.clone(), imported)) {
        Ok(_) => note(directory, &target, brought),
        // It may have been done, or may still be.
        Err(NoImport::Call(error)) => Err(Failure::Failed(format!(
            "{error}; it is not known whether pid {pid} was brought, so no server starts in the directory; run this again"
        ))),
        Err(error) if may_put_back => {
            let back = directory.put_back();
            let error = match back {
                Ok(()) => error.to_string(),
                Err(back) => format!("{error}; and the state file could not be put back: {back}"),
            };
            Err(Failure::Failed(error))
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

/// Notes that it was brought, so that it is not brought again where etcd has lost it.
fn note(directory: &mut dyn Directory, target: &str, brought: Brought) -> Result<Brought, Failure> {
    let noted = directory.note_brought(target);
    noted.map_err(Failure::Failed).map(|()| brought)
}

/// A wrong prefix would begin another cluster, without a word.
fn no_cluster(place: &Place) -> String {
    format!(
        "nothing is there of cluster {:?} in {}, and nothing was changed; if it runs there already, correct --store or \
         --cluster; if this is its first pid there, add {}",
        place.cluster.as_str(),
        place.target,
        dashed(NEW_CLUSTER)
    )
}

#[derive(Serialize)]
struct Report {
    pid: u16,
    /// A string, because many programs would round a large number.
    sequence: String,
    cluster: String,
    /// Whether nothing was there of the cluster before.
    made_cluster: bool,
    store: String,
}
