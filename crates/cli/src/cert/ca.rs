//! `cert ca`: makes a CA, puts a new one before the old one, or drops the old ones.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use getopts::Matches;
use ipseity_console::plain;
use ipseity_tls::{Facts, Roots, TlsError, read_certificates, read_key, read_text};

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
    Roots::read(&file).map_err(unread)
}

fn create(directory: &Path, days: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let now = clock::now()?;
    fs::create_dir_all(directory)
        .map_err(|error| files::failed(directory, &format!("cannot be made: {error}")))?;
    let [file, key_file] = paths(directory);
    let made = make::ca(now, days, &[]).map_err(unmade)?;
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
    check_key(&key_file, &old)?;
    let old_text = read_text(&file).map_err(unread)?;
    let common_names = old.facts().iter().filter_map(|ca| ca.common_name.clone());
    let made = make::ca(now, days, &common_names.collect::<Vec<_>>()).map_err(unmade)?;
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

/// Refuses a key that is not that of a CA in the file. It is no harm if there is none, because it is kept elsewhere.
fn check_key(key_file: &Path, roots: &Roots) -> Result<(), Failure> {
    if !files::exists(key_file) {
        return Ok(());
    }
    let key = read_key(key_file).map_err(unread)?;
    let place = roots
        .position_of_key(&key)
        .map_err(|fault| files::failed(key_file, &fault.to_string()))?;
    place
        .map(drop)
        .ok_or_else(|| wrong_key(key_file, roots.file()))
}

/// The key is that of another CA.
pub fn wrong_key(key_file: &Path, file: &Path) -> Failure {
    let text = format!(
        "is not the key of any CA in {}: the two files must have been made together",
        shown(file)
    );
    files::failed(key_file, &text)
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
    let in_use = in_use(&roots, directory, now)?;
    if !in_use.is_empty() && !force {
        let text = format!(
            "an old CA has signed {}, which nobody would trust any more: make them anew with --force, or drop it all \
             the same with --force",
            in_use.join(", ")
        );
        return Err(files::failed(&file, &text));
    }
    let text = read_text(&file).map_err(unread)?;
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

/// The files in a directory whose first certificate is valid, and is trusted no more when all CAs but the newest are
/// dropped. Its signature decides, because names may come again. One with the name of a CA and the signature of none is from
/// a CA that was dropped before, so whoever uses it is shut out already: that is worth knowing too.
fn in_use(roots: &Roots, directory: &Path, now: u64) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(directory)
        .map_err(|error| files::failed(directory, &format!("cannot be read: {error}")))?;
    let mut in_use = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        // A file that is no certificate is none that an old CA has signed.
        let Ok(chain) = read_certificates(&path) else {
            continue;
        };
        let Ok(facts) = Facts::of(&chain[0]) else {
            continue;
        };
        if facts.is_ca || facts.not_after < now {
            continue;
        }
        let is_dropped = match roots.signer_of(&chain) {
            Some(place) => place > 0,
            None => roots.facts().iter().any(|ca| ca.subject == facts.issuer),
        };
        if is_dropped {
            in_use.push(shown(&path));
        }
    }
    in_use.sort();
    Ok(in_use)
}

fn tell(file: &Path, key_file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let roots = Roots::read(file).map_err(unread)?;
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

fn unread(error: TlsError) -> Failure {
    Failure::Failed(error.to_string())
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
    use super::{super::leaf, *};
    use crate::cert::make::Kind;

    /// Makes a certificate for a client.
    fn client(directory: &Path, name: &str) {
        let mut flags = ipseity_console::Flags::new();
        super::super::options(&mut flags);
        let matches = flags
            .options()
            .parse(["--dir", directory.to_str().unwrap()])
            .unwrap();
        leaf::run(Kind::Client, &[name.to_owned()], &matches, &mut Vec::new()).unwrap();
    }

    #[test]
    fn the_name_of_a_ca_never_comes_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let mut names = Vec::new();
        create(directory.path(), 1, &mut out).unwrap();
        for _ in 0..3 {
            names.push(read(directory.path()).unwrap().facts()[0].name());
            // What is dropped here is forgotten, so its name cannot be looked up.
            rotate(directory.path(), 1, &mut out).unwrap();
            drop_old(directory.path(), false, &mut out).unwrap();
        }
        let day = "Ipseity CA 2026-11-18 ".len();
        for name in &names {
            assert!(name.starts_with("Ipseity CA 20"), "{name}");
            assert!(name[day..].chars().all(|c| c.is_ascii_hexdigit()), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn what_another_ca_of_the_same_name_has_signed_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let now = clock::now().unwrap();
        let mut out = Vec::new();
        create(folder.path(), 9, &mut out).unwrap();
        client(folder.path(), "alice");
        let old = fs::read_to_string(at("ca.pem")).unwrap();
        // The new CA has the name of the old one, as those of earlier versions could.
        let name = read(folder.path()).unwrap().facts()[0].name();
        let new = make::tests::ca_named(&name, now);
        fs::write(at("ca.pem"), format!("{}{old}", new.certificate)).unwrap();
        fs::write(at("ca.key"), &new.key).unwrap();
        client(folder.path(), "bob");
        let Err(Failure::Failed(text)) = drop_old(folder.path(), false, &mut out) else {
            panic!("the old CA was dropped");
        };
        assert!(
            text.contains("alice.pem") && !text.contains("bob.pem"),
            "{text}"
        );
        // Nobody trusts her any more, although a CA of this name is trusted.
        drop_old(folder.path(), true, &mut out).unwrap();
        rotate(folder.path(), 9, &mut out).unwrap();
        client(folder.path(), "bob-2");
        let Err(Failure::Failed(text)) = drop_old(folder.path(), false, &mut out) else {
            panic!("bob was forgotten");
        };
        assert!(
            text.contains("alice.pem") && text.contains("bob.pem"),
            "{text}"
        );
        assert!(!text.contains("bob-2.pem"), "{text}");
    }
}
