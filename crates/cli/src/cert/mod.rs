//! `cert`: makes a CA and certificates in a directory, and shows what a certificate says. It asks no server.

mod ca;
mod files;
mod leaf;
mod make;
mod show;

use std::{io::Write, path::PathBuf};

use getopts::Matches;
use ipseity_console::Flags;

use crate::{
    clock,
    command::{Command, no_more},
    failure::Failure,
    shape::{self, Shape},
    values,
};

/// The longest life that can be asked for: a hundred years.
const DAYS_MAX: u64 = 36_525;

/// The command.
pub const COMMAND: Command = Command {
    name: "cert",
    arguments: " ca|server|peer|client|operator|show [NAME...|FILE...]",
    summary: "Make a CA and certificates for TLS, and show them",
    details: "\
What is made, and what follows it:
    ca                a CA: ca.pem and ca.key
    server HOST...    a certificate for a server with these names and addresses
    peer HOST...      the same for a server of a cluster: its peers believe it
    client NAME       a certificate for somebody who takes identities
    operator NAME     a certificate for somebody who operates servers
    show FILE...      show the certificates in these files

The CA in --dir signs. A certificate is in NAME.pem and its private key in NAME.key, where NAME is
the first name. Keys are ECDSA P-256, and only their owner can read their files. A CA is valid for
ten years and a certificate for one, but never longer than its CA.

Servers and clients get ca.pem, their certificate and their key. Nobody needs ca.key but this
command: whoever has it can make certificates for everybody.

To replace a CA: cert ca --rotate puts a new one before the old one in ca.pem, so that both are
trusted. Give ca.pem to all servers and clients, then make all certificates anew with --force. When
none of the old CA is in use, cert ca --drop-old removes it from ca.pem.",
    examples: &[
        ("ipseity-cli cert ca", "a CA, in the current directory"),
        (
            "ipseity-cli cert server one.example.org 127.0.0.1",
            "a certificate for a server",
        ),
        ("ipseity-cli cert client alice", "one for a client"),
        ("ipseity-cli cert show one.example.org.pem", "what it says"),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt(
        "",
        "dir",
        "the directory of the CA and of what is made (default: the current one)",
        "DIR",
    );
    options.optopt(
        "",
        "days",
        "how long it is valid (default: 3650 for a CA, 365 for a certificate)",
        "DAYS",
    );
    options.optopt(
        "",
        "out",
        "the name of the files that are made, without a directory, .pem and .key (default: the first NAME)",
        "NAME",
    );
    options.optflag(
        "",
        "force",
        "replace a certificate and its key that exist; with --drop-old, do so although \
         certificates of the old CA are in the directory",
    );
    options.optflag("", "rotate", "put a new CA before the one that exists");
    options.optflag("", "drop-old", "remove all CAs from ca.pem but the newest");
    options.optopt(
        "",
        "format",
        "the shape of the output of show (default: text)",
        "text|json",
    );
    options.optflag("", "json", "the same as --format json");
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let Some((kind, names)) = matches.free.split_first() else {
        return Err(Failure::Usage(format!("the kind is missing: {KINDS}")));
    };
    let of_ca = ["rotate", "drop-old"];
    let of_leaf = ["out"];
    match kind.as_str() {
        "ca" => {
            no_more(names)?;
            refuse(matches, kind, &[&of_leaf[..], &["json", "format"]].concat())?;
            ca::run(matches, out)
        }
        "show" => {
            let others = ["dir", "days", "force"];
            refuse(matches, kind, &[&of_ca[..], &of_leaf, &others].concat())?;
            let as_json = match shape::shape(matches)? {
                Shape::Text => false,
                Shape::Json => true,
                Shape::Csv => {
                    return Err(Failure::Usage(
                        "--format takes text or json here, not \"csv\"".to_owned(),
                    ));
                }
            };
            show::run(as_json, names, out)
        }
        _ => {
            let Some(kind) = make::Kind::from_word(kind) else {
                let kind = format!("there is no kind {kind:?}: {KINDS}");
                return Err(Failure::Usage(kind));
            };
            refuse(
                matches,
                kind.word(),
                &[&of_ca[..], &["json", "format"]].concat(),
            )?;
            leaf::run(kind, names, matches, out)
        }
    }
}

const KINDS: &str = "it is ca, server, peer, client, operator or show";

/// Refuses flags that mean nothing for this kind. To ignore one would leave somebody with the wrong certificate.
fn refuse(matches: &Matches, kind: &str, flags: &[&str]) -> Result<(), Failure> {
    match flags.iter().find(|flag| matches.opt_present(flag)) {
        None => Ok(()),
        Some(flag) => Err(Failure::Usage(format!("cert {kind} takes no --{flag}"))),
    }
}

fn directory(matches: &Matches) -> PathBuf {
    matches
        .opt_str("dir")
        .unwrap_or_else(|| ".".to_owned())
        .into()
}

fn days(matches: &Matches, default: u64) -> Result<u64, Failure> {
    Ok(values::number(matches, "days", 1..=DAYS_MAX)?.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_has_expired_does_not_sign() {
        let directory = tempfile::tempdir().unwrap();
        let old = make::tests::ca_named("Old CA", 1_600_000_000);
        std::fs::write(directory.path().join("ca.pem"), old.certificate).unwrap();
        std::fs::write(directory.path().join("ca.key"), old.key).unwrap();
        let mut flags = Flags::new();
        options(&mut flags);
        let directory = directory.path().to_str().unwrap();
        let arguments = ["client", "alice", "--dir", directory];
        let mut out = Vec::new();
        match run(&flags.options().parse(arguments).unwrap(), &mut out) {
            Err(Failure::Failed(text)) => {
                let says =
                    "ca.pem: the CA Old CA expired at 2020-09-14 12:26 UTC: cert ca --rotate";
                assert!(text.contains(says), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert!(out.is_empty());
    }
}
