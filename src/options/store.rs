//! Where a server keeps its state: a directory, etcd, or nowhere.

use std::{path::PathBuf, time::Duration};

use ipseity_core::{address::HostPort, identity::Pid};
use ipseity_etcd::{Secrets, Target};
use ipseity_pids::Wanted;

use super::{DATA_DIR_DEFAULT, UsageError, duration, given::Given};
use crate::limits::{LEASE_DEFAULT, LEASE_MAX, LEASE_MIN};

/// Where a server keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateAt {
    /// In this directory.
    Directory(PathBuf),
    /// In etcd.
    Etcd(Box<EtcdOptions>),
    /// Nowhere.
    Nowhere,
}

/// What a server needs to know of the etcd that keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// Where it is.
    pub target: Target,
    /// The files with what it is shown, and what it has to show.
    pub secrets: Secrets,
    /// How long a pid stays taken by a server that gives no sign of life, 2 s to five minutes.
    pub lease: Duration,
    /// Nothing is handed out while the lease is not confirmed.
    pub waits_in_doubt: bool,
}

impl StateAt {
    /// The state directory, if there is one.
    pub fn directory(&self) -> Option<&PathBuf> {
        match self {
            StateAt::Directory(directory) => Some(directory),
            StateAt::Etcd(_) | StateAt::Nowhere => None,
        }
    }

    /// What is to be known of etcd, if it keeps the state.
    pub fn etcd(&self) -> Option<&EtcdOptions> {
        match self {
            StateAt::Etcd(etcd) => Some(etcd),
            StateAt::Directory(_) | StateAt::Nowhere => None,
        }
    }
}

/// Flags that count only with a state directory, and those that only say where it is.
const OF_DIRECTORY: [&str; 4] = [
    "data-dir",
    "allow-shared-dir",
    "members-lost",
    "recover-above",
];

/// Flags that count only with etcd.
const OF_ETCD: [&str; 7] = [
    "etcd-ca",
    "etcd-cert",
    "etcd-key",
    "etcd-user",
    "pid-range",
    "lease",
    "on-doubt",
];

/// Where the state is kept. `listen` is where the server listens, and `advertise` where others reach it.
pub(super) fn state(
    given: &Given,
    pid: Wanted,
    listen: &[String],
    advertise: Option<&str>,
) -> Result<StateAt, UsageError> {
    if let Some(target) = given.value("store") {
        return etcd(given, &target, listen, advertise)
            .map(Box::new)
            .map(StateAt::Etcd);
    }
    if let Some(flag) = OF_ETCD.iter().find(|flag| given.is_given(flag)) {
        return Err(UsageError::new(format!(
            "{} counts only with --store: it is about a store in etcd",
            given.name(flag)
        )));
    }
    directory(given, pid)
}

fn directory(given: &Given, pid: Wanted) -> Result<StateAt, UsageError> {
    let Wanted::Pid(pid) = pid else {
        return Err(UsageError::new(format!(
            "{} auto counts only with --store: a state directory belongs to one pid",
            given.name("pid")
        )));
    };
    for flag in ["existing", "allow-shared-dir", "members-lost"] {
        if given.is_given("ephemeral") && given.is_given(flag) {
            return Err(UsageError::new(format!(
                "{} and {} contradict each other: without a disk there is no state directory",
                given.name(flag),
                given.name("ephemeral")
            )));
        }
    }
    match (given.value("data-dir"), given.is_given("ephemeral")) {
        (Some(_), true) => Err(UsageError::new(format!(
            "{} and {} contradict each other: one keeps the state on the disk, the other keeps nothing",
            given.name("data-dir"),
            given.name("ephemeral")
        ))),
        (Some(text), false) if text.is_empty() => {
            Err(given.bad("data-dir", &text, "the path of a directory"))
        }
        (Some(text), false) => Ok(StateAt::Directory(PathBuf::from(text))),
        (None, true) => Ok(StateAt::Nowhere),
        (None, false) => Ok(StateAt::Directory(
            PathBuf::from(DATA_DIR_DEFAULT).join(pid.to_string()),
        )),
    }
}

fn etcd(
    given: &Given,
    target: &str,
    listen: &[String],
    advertise: Option<&str>,
) -> Result<EtcdOptions, UsageError> {
    let store = given.name("store");
    let target: Target = target
        .parse()
        .map_err(|error| UsageError::new(format!("{store} {error}")))?;
    if given.is_given("ephemeral") {
        return Err(UsageError::new(format!(
            "{store} and {} contradict each other: one keeps the state in etcd, the other keeps nothing",
            given.name("ephemeral")
        )));
    }
    if let Some(flag) = OF_DIRECTORY.iter().find(|flag| given.is_given(flag)) {
        return Err(UsageError::new(format!(
            "{store} and {} contradict each other: with a store in etcd there is no state directory",
            given.name(flag)
        )));
    }
    if !given.is_given("pid") && !given.is_given("pid-from-hostname") {
        return Err(UsageError::new(format!(
            "{store} needs --pid: auto, to take a free one, or a number from 0 to {}",
            Pid::MAX
        )));
    }
    if let (None, Some(wildcard)) = (advertise, listen.iter().find(|text| is_wildcard(text))) {
        return Err(UsageError::new(format!(
            "{store} needs --advertise, because {} {wildcard} is not an address that other servers can dial: give the \
             address at which they reach this one",
            given.name("listen")
        )));
    }
    let file = |flag: &str| match given.value(flag) {
        Some(text) if text.is_empty() => Err(given.bad(flag, &text, "the path of a file")),
        text => Ok(text.map(PathBuf::from)),
    };
    let secrets = Secrets {
        ca: file("etcd-ca")?,
        certificate: file("etcd-cert")?,
        key: file("etcd-key")?,
        user: file("etcd-user")?,
    };
    let of_tls = ["etcd-ca", "etcd-cert", "etcd-key"];
    let of_tls = of_tls.iter().find(|flag| given.is_given(flag));
    if let (false, Some(flag)) = (target.uses_tls(), of_tls) {
        return Err(UsageError::new(format!(
            "{} counts only with TLS: write etcds:// in {store}",
            given.name(flag)
        )));
    }
    if target.uses_tls() && secrets.ca.is_none() {
        return Err(UsageError::new(format!(
            "{store} etcds:// needs --etcd-ca, the CAs that have signed the certificates of etcd"
        )));
    }
    for (one, other, what) in [
        (
            "etcd-cert",
            "etcd-key",
            "the private key of the certificate",
        ),
        ("etcd-key", "etcd-cert", "the certificate of the key"),
    ] {
        if given.is_given(one) && !given.is_given(other) {
            return Err(UsageError::new(format!(
                "{} needs --{other}, {what}",
                given.name(one)
            )));
        }
    }
    Ok(EtcdOptions {
        target,
        secrets,
        lease: duration(given, "lease", LEASE_MIN, LEASE_MAX)?.unwrap_or(LEASE_DEFAULT),
        waits_in_doubt: match given.value("on-doubt").as_deref() {
            None | Some("wait") => true,
            Some("serve") => false,
            Some(text) => return Err(given.bad("on-doubt", text, "wait or serve")),
        },
    })
}

/// Whether a server that listens there is not reached at that address.
fn is_wildcard(listen: &str) -> bool {
    let address: Result<HostPort, _> = listen.parse();
    address.is_ok_and(|address| address.is_wildcard())
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Options, Surroundings, parse};
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words, &Surroundings::default()) {
            Ok(Command::Serve(options)) => Ok(*options),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn in_etcd(line: &str) -> (Options, EtcdOptions) {
        let options = parsed(line).expect(line);
        let etcd = options.state.etcd().expect(line).clone();
        (options, etcd)
    }

    #[test]
    fn a_store_in_etcd_has_its_own_defaults() {
        let (options, etcd) = in_etcd("--store etcd://one,two/ids --pid 7");
        assert_eq!(options.pid, Wanted::Pid(Pid::new(7).unwrap()));
        assert_eq!(options.reserve, Duration::from_secs(60));
        assert_eq!(etcd.lease, Duration::from_secs(60));
        assert!(etcd.waits_in_doubt);
        assert_eq!(etcd.secrets, Secrets::default());
        assert_eq!(options.state.directory(), None);
        let (options, etcd) = in_etcd(
            "--store etcds://one --pid auto --pid-range 3-9 --lease 2s --on-doubt serve --reserve 1s --etcd-ca a \
             --etcd-cert b --etcd-key c --etcd-user d --join majority --cluster-size 3 --peer e:1",
        );
        let [first, last] = [3, 9].map(|pid| Pid::new(pid).unwrap());
        assert_eq!(options.pid, Wanted::Auto { first, last });
        assert_eq!(options.pid.to_string(), "a free one from 3 to 9");
        assert_eq!(options.reserve, Duration::from_secs(1));
        assert_eq!(
            (etcd.lease, etcd.waits_in_doubt),
            (Duration::from_secs(2), false)
        );
        assert_eq!(
            etcd.secrets,
            Secrets {
                ca: Some("a".into()),
                certificate: Some("b".into()),
                key: Some("c".into()),
                user: Some("d".into()),
            }
        );
    }

    #[test]
    fn a_wildcard_needs_an_address_for_others() {
        for listen in ["0.0.0.0:1", "[::]:1", "127.0.0.1:1 --listen [::]:2"] {
            let line = format!("--store etcd://a --pid auto --listen {listen}");
            let said = parsed(&line).unwrap_err();
            assert!(
                said.starts_with("--store needs --advertise, because --listen "),
                "{said}"
            );
            parsed(&format!("{line} --advertise ids.example:1")).unwrap();
        }
        parsed("--store etcd://a --pid auto --listen ids.example:1").unwrap();
        parsed("--ephemeral --listen 0.0.0.0:1").unwrap();
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (line, says) in [
            (
                "--store etcd://a",
                "--store needs --pid: auto, to take a free one, or a number",
            ),
            (
                "--pid auto",
                "--pid auto counts only with --store: a state directory belongs to one pid",
            ),
            (
                "--pid auto --ephemeral",
                "--pid auto counts only with --store",
            ),
            (
                "--store etcd://a --pid 1 --data-dir x",
                "--store and --data-dir contradict each other: with a store",
            ),
            (
                "--store etcd://a --pid 1 --ephemeral",
                "--store and --ephemeral contradict each other",
            ),
            (
                "--store etcd://a --pid 1 --recover-above 5",
                "--store and --recover-above contradict",
            ),
            (
                "--store etcd://a --pid 1 --pid-range 1-2",
                "--pid-range counts only with --pid auto",
            ),
            (
                "--store etcd://a --pid auto --pid-range 2-1",
                "--pid-range \"2-1\": expected two numbers",
            ),
            (
                "--store etcd://a --pid auto --pid-range 2-1024",
                "--pid-range \"2-1024\": expected two",
            ),
            (
                "--store etcd://a --pid auto --pid-range 7",
                "--pid-range \"7\": expected two numbers",
            ),
            (
                "--store etcd://a --pid auto --pid-from-hostname",
                "--pid and --pid-from-hostname contradict each other",
            ),
            (
                "--store etcd://a --pid 1 --lease 1s",
                "--lease \"1s\": expected a duration from 2s to 5m",
            ),
            (
                "--store etcd://a --pid 1 --lease 6m",
                "--lease \"6m\": expected a duration",
            ),
            (
                "--store etcd://a --pid 1 --on-doubt stop",
                "--on-doubt \"stop\": expected wait or serve",
            ),
            ("--lease 3s", "--lease counts only with --store"),
            ("--etcd-ca a", "--etcd-ca counts only with --store"),
            (
                "--store etcds://a --pid 1 --etcd-ca a --etcd-cert c",
                "--etcd-cert needs --etcd-key",
            ),
            (
                "--store etcds://a --pid 1 --etcd-ca a --etcd-key c",
                "--etcd-key needs --etcd-cert",
            ),
            (
                "--store etcd://a --pid 1 --etcd-ca a",
                "--etcd-ca counts only with TLS: write etcds:// in --store",
            ),
            (
                "--store etcds://a --pid 1",
                "--store etcds:// needs --etcd-ca, the CAs",
            ),
            (
                "--store etcd://a --pid auto --join majority --cluster-size 3",
                "--join=majority needs --peer: without a peer that it can ask and that has a state directory",
            ),
            ("--store http://a --pid 1", "--store "),
            (
                "--store etcds://a --pid 1 --etcd-ca=",
                "--etcd-ca \"\": expected the path of a file",
            ),
        ] {
            let said = parsed(line).expect_err(line);
            assert!(said.starts_with(says), "{line}: {said}");
            assert_eq!(said.lines().count(), 1, "{line}: {said}");
        }
    }
}
