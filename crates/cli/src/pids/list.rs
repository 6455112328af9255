//! `pids list`: each pid, for people, as JSON or as CSV.

use std::io::{self, Write};

use getopts::Matches;
use ipseity_console::{plain, table};
use ipseity_core::identity::Pid;
use ipseity_pids::{
    Survey,
    layout::{Owner, State},
    survey::{Entry, Found, Unreadable},
};
use serde::Serialize;

use super::place::{Place, usual_cluster};
use crate::{
    failure::{Failure, complain},
    json::write_line,
    shape::{self, Shape, write_csv},
};

pub(super) fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let shape = shape::shape(matches)?;
    let mut place = Place::of(matches, usual_cluster()?)?;
    let survey = place.look()?;
    // A wrong prefix or name finds nothing, and is seen only if it is shown.
    if survey.pids.is_empty() && shape == Shape::Text {
        let Place {
            cluster, target, ..
        } = place;
        writeln!(
            out,
            "no pid of cluster \"{cluster}\" is there yet, in {target}"
        )?;
    } else {
        write(&survey, shape, out)?;
    }
    let unreadable = unreadable(&survey);
    for what in &unreadable {
        complain(&what.to_string());
    }
    match unreadable.is_empty() {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

fn write(survey: &Survey, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Row> = survey
        .pids
        .iter()
        .map(|(pid, found)| Row::of(*pid, found))
        .collect();
    match shape {
        Shape::Text => {
            let mut lines = vec![HEADER.map(str::to_owned).to_vec()];
            lines.extend(rows.iter().map(|row| row.cells("-")));
            let lines = table(&lines, &[-3, 0, 0, -4, -8, -7, 0]);
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        }
        Shape::Json => rows.iter().try_for_each(|row| write_line(out, row)),
        Shape::Csv => {
            write_csv(out, HEADER)?;
            rows.iter()
                .try_for_each(|row| write_csv(out, row.cells("")))
        }
    }
}

/// The columns.
const HEADER: [&str; 7] = [
    "pid", "owner", "since", "boot", "sequence", "ceiling", "state",
];

/// One pid.
#[derive(Serialize)]
struct Row {
    pid: u16,
    /// Null if nobody has it.
    owner: Option<String>,
    since: Option<String>,
    boot: Option<u64>,
    /// A string, because many programs would round a large number.
    sequence: Option<String>,
    ceiling: Option<String>,
    state: &'static str,
    incarnation: Option<String>,
    session: Option<String>,
}

impl Row {
    fn of(pid: Pid, found: &Found) -> Row {
        let state: Option<&State> = found.state.seen().map(|seen| &seen.value);
        let owner: Option<&Owner> = found.owner.seen().map(|seen| &seen.value);
        Row {
            pid: pid.get(),
            owner: owner.map(|owner| owner.address.to_string()),
            since: owner
                .map(|owner| owner.since.clone())
                .filter(|since| !since.is_empty()),
            boot: state.map(|state| state.boot),
            sequence: state.map(|state| state.sequence.to_string()),
            ceiling: state.map(|state| state.ceiling.to_string()),
            state: match &found.state {
                _ if !found.owner.is_absent() => "owned",
                Entry::Unreadable(_) => "unreadable",
                Entry::Seen(seen) if seen.value.stopped => "stopped",
                Entry::Seen(_) | Entry::Absent => "free",
            },
            incarnation: state.map(|state| format!("{:#034x}", state.incarnation)),
            session: state.map(|state| format!("{:#018x}", state.session)),
        }
    }

    /// Its cells. `none` stands where there is nothing to show.
    fn cells(&self, none: &str) -> Vec<String> {
        let text = |text: &Option<String>| text.as_deref().map_or(none.to_owned(), plain);
        vec![
            self.pid.to_string(),
            text(&self.owner),
            text(&self.since),
            text(&self.boot.map(|boot| boot.to_string())),
            text(&self.sequence),
            text(&self.ceiling),
            self.state.to_owned(),
        ]
    }
}

/// What this version cannot read.
fn unreadable(survey: &Survey) -> Vec<&Unreadable> {
    fn of<T>(entry: &Entry<T>) -> Option<&Unreadable> {
        match entry {
            Entry::Unreadable(what) => Some(what),
            Entry::Absent | Entry::Seen(_) => None,
        }
    }
    let pids = survey.pids.values();
    let pids = pids.flat_map(|found| of(&found.state).into_iter().chain(of(&found.owner)));
    of(&survey.meta).into_iter().chain(pids).collect()
}

#[cfg(test)]
mod tests {
    use ipseity_core::{identity::Sequence, words::ClusterName};
    use ipseity_etcd::{Header, KeyValue};
    use ipseity_pids::{Layout, layout::Value};

    use super::*;

    fn survey() -> Survey {
        let layout = Layout::new("ids", &ClusterName::default());
        let [seven, eight, nine, ten] = [7, 8, 9, 10].map(|pid| Pid::new(pid).unwrap());
        let state = State {
            incarnation: 0xabc,
            boot: 3,
            session: 0x1f,
            sequence: Sequence::new(2048).unwrap(),
            ceiling: Sequence::new(9535).unwrap(),
            highest: Sequence::new(9535).unwrap(),
            stopped: false,
            epoch: 1,
            lives: Vec::new(),
        };
        let stopped = State {
            sequence: Sequence::new(12).unwrap(),
            ceiling: Sequence::new(12).unwrap(),
            stopped: true,
            ..state.clone()
        };
        let owner = Owner {
            session: 0x1f,
            address: "10.0.0.7:3264".parse().unwrap(),
            since: "2026-11-29T06:00:00Z".to_owned(),
        };
        let keys = [
            (layout.owner(seven), owner.text()),
            (layout.state(seven), state.text()),
            (layout.state(eight), stopped.text()),
            (layout.state(nine), state.text()),
            (layout.state(ten), "{".to_owned()),
            (layout.meta(), "{".to_owned()),
        ];
        let keys = keys.map(|(key, value)| KeyValue {
            key,
            value,
            create_revision: 1,
            mod_revision: 1,
            lease: None,
        });
        Survey::read(&layout, Header::default(), &keys)
    }

    fn written(shape: Shape) -> String {
        let mut out = Vec::new();
        write(&survey(), shape, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_and_programs_see_who_has_which_pid() {
        assert_eq!(
            written(Shape::Text),
            "\
pid  owner          since                 boot  sequence  ceiling  state
  7  10.0.0.7:3264  2026-11-29T06:00:00Z     3      2048     9535  owned
  8  -              -                        3        12       12  stopped
  9  -              -                        3      2048     9535  free
 10  -              -                        -         -        -  unreadable
"
        );
        assert_eq!(
            written(Shape::Csv).lines().nth(2),
            Some("8,,,3,12,12,stopped")
        );
        assert_eq!(
            written(Shape::Json).lines().next(),
            Some(concat!(
                r#"{"pid":7,"owner":"10.0.0.7:3264","since":"2026-11-29T06:00:00Z","boot":3,"sequence":"2048","#,
                r#""ceiling":"9535","state":"owned","incarnation":"0x00000000000000000000000000000abc","#,
                r#""session":"0x000000000000001f"}"#,
            ))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let survey = survey();
        let told = unreadable(&survey);
        let keys: Vec<_> = told.iter().map(|what| &*what.key).collect();
        assert_eq!(keys, ["ids/ipseity/meta", "ids/ipseity/pid/0010/state"]);
    }
}
