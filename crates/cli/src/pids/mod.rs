//! `pids`: the pids of a cluster whose state is in etcd: who has which, bringing one from a directory, and going on after a
//! restore. It asks etcd, and no server.

mod epoch;
mod import;
mod list;
mod place;

pub(crate) use import::open_with;

use std::io::Write;

use getopts::Matches;
use ipseity_console::Flags;

use crate::{
    command::{Command, no_more},
    failure::Failure,
    shape,
};

/// The command.
pub const COMMAND: Command = Command {
    name: "pids",
    arguments: " [list|import|epoch] --store URL",
    summary: "Show the pids of servers whose state is in etcd, and manage them",
    details: "\
What is done:
    list              show each pid: who has it and since when, its boot and its ceiling
    import            bring the pid of a state directory, which no server uses any more
    epoch             go on after etcd was restored from a backup, or lost its keys

The pids are those of --cluster. Without a word, they are listed. The
last column is owned while a server has the pid, stopped after a clean stop, free after a crash, and
unreadable if something else stands there than this version writes.

import puts the state file of --data-dir aside, so that no server starts there again. Then start
the server with --store in place of --data-dir, and with the same --pid. If import is interrupted,
run it again. It never replaces a pid that is in etcd already. The first pid of a cluster needs
--new-cluster: without it, a wrong --store would begin another cluster there.

epoch tells that this etcd is the right one, though it does not know all that was handed out. Stop
all servers that use it first. Every pid then begins above the sequence that --above names: take one
above all that were handed out, as other servers and your own tables know them.",
    examples: &[
        (
            "ipseity-cli pids --store etcd://127.0.0.1",
            "who has which pid",
        ),
        (
            "ipseity-cli pids list --format csv --store etcd://127.0.0.1",
            "a table for a spreadsheet",
        ),
        (
            "ipseity-cli pids import --data-dir ipseity-data/7 --new-cluster --store etcd://127.0.0.1",
            "bring the first pid of a cluster from a directory",
        ),
        (
            "ipseity-cli pids epoch --above 5000000 --yes --store etcd://127.0.0.1",
            "go on after a restore, with all servers stopped",
        ),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt(
        "",
        "store",
        "where etcd is: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS (default: $IPSEITY_STORE)",
        "URL",
    );
    options.optopt(
        "",
        "etcd-ca",
        "the CAs that have signed the certificate of etcd, PEM (default: $IPSEITY_ETCD_CA)",
        "FILE",
    );
    options.optopt(
        "",
        "etcd-cert",
        "the certificate that is shown to etcd, PEM (default: $IPSEITY_ETCD_CERT)",
        "FILE",
    );
    options.optopt(
        "",
        "etcd-key",
        "the private key of that certificate, PEM (default: $IPSEITY_ETCD_KEY)",
        "FILE",
    );
    options.optopt(
        "",
        "etcd-user",
        "a file whose one line is USER:PASSWORD, for an etcd that asks for them (default: $IPSEITY_ETCD_USER)",
        "FILE",
    );
    options.optopt("", "data-dir", "import: the state directory", "DIR");
    options.optflag(
        "",
        import::NEW_CLUSTER,
        "import: make the cluster, if nothing is there of it yet",
    );
    options.optopt(
        "",
        "above",
        "epoch: the sequence above which all pids begin",
        "SEQUENCE",
    );
    options.optflag(
        "",
        "yes",
        "epoch: all servers that use this etcd are stopped",
    );
    shape::options_with_json(options);
    options.optopt(
        "",
        "cluster",
        "the cluster whose pids are meant (default: $IPSEITY_CLUSTER, or ipseity; for import the one of the directory)",
        "NAME",
    );
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let (word, rest) = match matches.free.split_first() {
        Some((word, rest)) => (word.as_str(), rest),
        None => ("list", &[][..]),
    };
    no_more(rest)?;
    match word {
        "list" => {
            refuse(
                matches,
                word,
                &["data-dir", import::NEW_CLUSTER, "above", "yes"],
            )?;
            list::run(matches, out)
        }
        "import" => {
            refuse(matches, word, &["above", "yes"])?;
            import::run(matches, out)
        }
        "epoch" => {
            refuse(matches, word, &["data-dir", import::NEW_CLUSTER])?;
            epoch::run(matches, out)
        }
        _ => Err(Failure::Usage(format!(
            "there is no action {word:?}: it is list, import or epoch"
        ))),
    }
}

/// Refuses flags that mean nothing for this word.
fn refuse(matches: &Matches, word: &str, flags: &[&str]) -> Result<(), Failure> {
    match flags.iter().find(|flag| matches.opt_present(flag)) {
        None => Ok(()),
        Some(flag) => Err(Failure::Usage(format!("pids {word} takes no --{flag}"))),
    }
}
