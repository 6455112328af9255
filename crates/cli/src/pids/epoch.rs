//! `pids epoch`: an operator's word after a restore.

use std::io::Write;

use getopts::Matches;
use ipseity_core::identity::Sequence;
use ipseity_pids::Epoch;
use serde::Serialize;

use super::place::{Place, usual_cluster};
use crate::{
    failure::Failure,
    json::write_line,
    shape::{self, Shape},
    values,
};

/// The last sequence would leave a server none to hand out.
const ABOVE_MAX: u64 = Sequence::MAX.get() - 1;

pub(super) fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let shape = shape::shape(matches)?;
    shape.not_csv("epoch")?;
    let above = values::number(matches, "above", 0..=ABOVE_MAX)?
        .and_then(Sequence::new)
        .ok_or_else(|| Failure::Usage("--above SEQUENCE is missing".to_owned()))?;
    let mut place = Place::of(matches, usual_cluster()?)?;
    if !matches.opt_present("yes") {
        return Err(Failure::Usage(
            "epoch ends every server that uses this etcd, and all pids then begin above the sequence; stop the servers \
             first, and add --yes"
                .to_owned(),
        ));
    }
    let raised = place
        .run(&mut Epoch::new(place.layout.clone(), above))
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let report = Report {
        epoch: raised.meta.epoch,
        cluster: place.cluster.to_string(),
        above: raised.meta.above.to_string(),
        // After a loss of all keys the first epoch is made anew. After a slip of the pen it is too, in a place that no server
        // uses, and then the right place is as it was.
        was_there: raised.meta.epoch > 1,
        store: place.target.to_string(),
    };
    match shape {
        Shape::Json => write_line(out, &report)?,
        Shape::Text | Shape::Csv => {
            let Report {
                epoch,
                cluster,
                above,
                was_there,
                store,
            } = report;
            writeln!(
                out,
                "epoch {epoch}: all pids of cluster {cluster:?} in {store} begin above sequence {above}; start the servers \
                 again"
            )?;
            writeln!(
                out,
                "if this told epoch {epoch} or a later one before, because an older backup was restored now, run it again \
                 until it tells a later one"
            )?;
            if !was_there {
                writeln!(
                    out,
                    "nothing was there of this cluster: if its keys were not lost, correct --store or --cluster, and run \
                     this again"
                )?;
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Report {
    epoch: u64,
    cluster: String,
    /// A string, because many programs would round a large number.
    above: String,
    /// Whether there was anything of the cluster before.
    was_there: bool,
    store: String,
}
