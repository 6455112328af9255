//! `cert ca`: makes a CA, puts a new one before the old one, or drops the old ones.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use getopts::Matches;
use ipseity_console::plain;
use ipseity_tls::{Date, Facts, Roots, read_certificates};

use super::{
    clock, days, directory,
    files::{self, New},
    make,
};
use crate::failure::Failure;

const DAYS_DEFAULT: u64 = 3650;

/// The last line of a certificate.
const END: &str = "-----END CERTIFICATE-----";

/// The most old keys that are kept in one directory.
const OLD_KEYS_MAX: u32 = 1000;

pub fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let (rotates, drops) = (
        matches.opt_present("rotate"),
        matches.opt_present("drop-old"),
    );
    let (force, days) = (matches.opt_present("force"), days(matches, DAYS_DEFAULT)?);
    let directory = directory(matches);
    match (rotates, drops) {
        (true, true) => Err(Failure::Usage(
            "--rotate and --drop-old are two steps: in between, certificates are made anew".to_owned(),
        )),
        (_, true) if matches.opt_present("days") => {
            Err(Failure::Usage("--drop-old makes nothing, so it takes no --days".to_owned()))
        }
        (false, true) => drop_old(&directory, force, out),
        _ if force => Err(Failure::Usage(
            "a CA is never replaced: all its certificates would be worthless. cert ca --rotate puts a new one \
             before it"
                .to_owned(),
        )),
        (true, false) => rotate(&directory, days, out),
        (false, false) => create(&directory, days, out),
    }
}

/// The files of the CA of a directory.
pub fn paths(directory: &Path) -> [PathBuf; 2] {
    ["ca.pem", "ca.key"].map(|name| directory.join(name))
}

/// The CAs of a directory.
pub fn read(directory: &Path) -> Result<Roots, Failure> {
    let [file, _] = paths(directory);
    if !files::exists(&file) {
        return Err(files::failed(
            &file,
            "is not there: cert ca makes it, or --dir names another directory",
        ));
    }
    Roots::read(&file).map_err(|error| Failure::Failed(error.to_string()))
}

fn create(directory: &Path, days: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let now = clock::now()?;
    fs::create_dir_all(directory)
        .map_err(|error| files::failed(directory, &format!("cannot be made: {error}")))?;
    let [file, key_file] = paths(directory);
    let name = name(now, &[]);
    let made = make::ca(&name, now, days).map_err(unmade)?;
    files::create(
        &[
            New::key(key_file.clone(), &made.key),
            New::certificate(file.clone(), &made.certificate),
        ],
        "there is a CA. cert ca --rotate puts a new one before it",
    )?;
    tell(&file, &key_file, out)
}

fn rotate(directory: &Path, days: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let now = clock::now()?;
    let old = read(directory)?;
    let [file, key_file] = paths(directory);
    let old_text = text(&file)?;
    let made = make::ca(&name(now, old.facts()), now, days).map_err(unmade)?;
    // First the old key has two names, then the certificates change, then the key. So a run that is interrupted leaves a
    // CA that can sign: it is found in the file by its key.
    let kept = keep(directory, &key_file)?;
    files::replace(&[
        New::certificate(file.clone(), &format!("{}{old_text}", made.certificate)),
        New::key(key_file.clone(), &made.key),
    ])?;
    tell(&file, &key_file, out)?;
    let names: Vec<String> = old.facts().iter().map(Facts::name).collect();
    writeln!(out, "{}: still trusts {}", shown(&file), names.join(", "))?;
    if let Some(kept) = kept {
        writeln!(out, "{}: the old key", shown(&kept))?;
    }
    writeln!(
        out,
        "Next: give {} to all servers and clients, make their certificates anew with --force, and then: \
         cert ca --drop-old",
        shown(&file)
    )?;
    Ok(())
}

/// Gives the key a second name, the first that is free: `ca.1.key`. `None` if there is no key, because it is kept
/// elsewhere.
fn keep(directory: &Path, key_file: &Path) -> Result<Option<PathBuf>, Failure> {
    if !files::exists(key_file) {
        return Ok(None);
    }
    for number in 1..=OLD_KEYS_MAX {
        let kept = directory.join(format!("ca.{number}.key"));
        match fs::hard_link(key_file, &kept) {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let text = format!("cannot be kept as {}: {error}", shown(&kept));
                return Err(files::failed(key_file, &text));
            }
        }
    }
    let text =
        format!("is too many: {OLD_KEYS_MAX} old keys are here. Remove those that nobody needs");
    Err(files::failed(key_file, &text))
}

fn drop_old(directory: &Path, force: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let now = clock::now()?;
    let roots = read(directory)?;
    let [file, _] = paths(directory);
    let [newest, old @ ..] = roots.facts() else {
        unreachable!("there is at least one CA");
    };
    if old.is_empty() {
        return Err(files::failed(&file, "has one CA only, and nothing to drop"));
    }
    let in_use = signed_by(old, newest, directory, now)?;
    if !in_use.is_empty() && !force {
        let text = format!(
            "an old CA has signed {}, which nobody would trust any more: make them anew with --force, or drop it all \
             the same with --force",
            in_use.join(", ")
        );
        return Err(files::failed(&file, &text));
    }
    let text = text(&file)?;
    let end = text.find(END).map_or(text.len(), |at| at + END.len());
    let newest_text = format!("{}\n", &text[..end]);
    files::replace(&[New::certificate(file.clone(), &newest_text)])?;
    writeln!(out, "{}: trusts {newest}", shown(&file))?;
    for dropped in old {
        writeln!(out, "{}: no longer trusts {}", shown(&file), dropped.name())?;
    }
    writeln!(
        out,
        "Next: give {} to all servers and clients. Nobody needs the old keys any more.",
        shown(&file)
    )?;
    Ok(())
}

/// The files in a directory whose first certificate is valid and signed by one of the old CAs.
fn signed_by(
    old: &[Facts],
    newest: &Facts,
    directory: &Path,
    now: u64,
) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(directory)
        .map_err(|error| files::failed(directory, &format!("cannot be read: {error}")))?;
    let mut signed = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        // A file that is no certificate is none that an old CA has signed.
        let first = read_certificates(&path)
            .ok()
            .and_then(|all| Facts::of(&all[0]).ok());
        let Some(facts) = first else { continue };
        let by_old = old.iter().any(|ca| ca.subject == facts.issuer);
        if by_old && facts.issuer != newest.subject && !facts.is_ca && facts.not_after >= now {
            signed.push(shown(&path));
        }
    }
    signed.sort();
    Ok(signed)
}

/// A name that no other CA of the file has, so that people can tell them apart.
fn name(now: u64, others: &[Facts]) -> String {
    let date = Date(now).to_string();
    let plain = format!(
        "Ipseity CA {}",
        &date[..date.find(' ').unwrap_or(date.len())]
    );
    let is_free = |name: &String| {
        others
            .iter()
            .all(|other| other.common_name.as_ref() != Some(name))
    };
    let numbered = (2..).map(|number| format!("{plain} ({number})"));
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(is_free)
        .expect("there are more numbers than CAs")
}

fn tell(file: &Path, key_file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let roots = Roots::read(file).map_err(|error| Failure::Failed(error.to_string()))?;
    let newest = &roots.facts()[0];
    writeln!(
        out,
        "{}: {}, valid until {}",
        shown(file),
        newest.name(),
        newest.until()
    )?;
    writeln!(
        out,
        "{}: its private key; it stays here, because whoever has it can make certificates",
        shown(key_file)
    )?;
    Ok(())
}

fn text(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| files::failed(file, &format!("cannot be read: {error}")))
}

/// rcgen has refused, which it does for want of randomness only.
pub fn unmade(error: rcgen::Error) -> Failure {
    Failure::Failed(format!("the certificate cannot be made: {error}"))
}

pub fn shown(path: &Path) -> String {
    plain(&path.strip_prefix(".").unwrap_or(path).to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cas_of_one_day_have_different_names() {
        let now = 1_795_000_000;
        assert_eq!(name(now, &[]), "Ipseity CA 2026-11-18");
        let directory = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        create(directory.path(), 1, &mut out).unwrap();
        rotate(directory.path(), 1, &mut out).unwrap();
        rotate(directory.path(), 1, &mut out).unwrap();
        let roots = read(directory.path()).unwrap();
        let mut names: Vec<String> = roots.facts().iter().map(Facts::name).collect();
        names.dedup();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}
