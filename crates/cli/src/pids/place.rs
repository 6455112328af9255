//! The etcd that `--store` names, and the calls of procedures there.

use std::{env, path::PathBuf, thread, time::Duration};

use getopts::Matches;
use ipseity_core::words::ClusterName;
use ipseity_etcd::{Answer, Call, CallError, Gateway, Procedure, Secrets, Target, World, run};
use ipseity_pids::{Layout, Look, Survey};

use crate::{failure::Failure, servers};

/// The variable that stands for `--store`, as for the server.
const STORE: &str = "IPSEITY_STORE";

/// The variable that stands for `--cluster`, as for the server.
const CLUSTER: &str = "IPSEITY_CLUSTER";

/// The files for TLS, and that of the user: each with its flag and its variable, which are those of the server.
const CA: (&str, &str) = ("etcd-ca", "IPSEITY_ETCD_CA");
const CERTIFICATE: (&str, &str) = ("etcd-cert", "IPSEITY_ETCD_CERT");
const KEY: (&str, &str) = ("etcd-key", "IPSEITY_ETCD_KEY");
const USER: (&str, &str) = ("etcd-user", "IPSEITY_ETCD_USER");

/// The etcd, and the pids in it.
pub(super) struct Place {
    gateway: Gateway,
    pub(super) target: Target,
    pub(super) cluster: ClusterName,
    pub(super) layout: Layout,
}

impl Place {
    /// What the flags name. Without `--cluster`, the pids are those of `cluster`.
    pub(super) fn of(matches: &Matches, cluster: ClusterName) -> Result<Place, Failure> {
        let given = matches.opt_str("store");
        let named = given.or_else(|| variable(STORE));
        let named = named.ok_or_else(|| {
            Failure::Usage("--store URL is missing, as in --store etcd://10.0.1.1".to_owned())
        })?;
        let target: Target = named
            .parse()
            .map_err(|error| Failure::Usage(format!("--store {error}")))?;
        // Without TLS, variables that are about another etcd are not in the way.
        let tls = |of| file(matches, of, target.uses_tls());
        let secrets = Secrets {
            ca: tls(CA),
            certificate: tls(CERTIFICATE),
            key: tls(KEY),
            user: file(matches, USER, true),
        };
        let gateway =
            Gateway::new(&target, &secrets).map_err(|error| Failure::Failed(error.to_string()))?;
        let cluster = servers::cluster(matches)?.unwrap_or(cluster);
        Ok(Place {
            gateway,
            layout: Layout::new(target.prefix(), &cluster),
            target,
            cluster,
        })
    }

    /// All that is there.
    pub(super) fn look(&mut self) -> Result<Survey, Failure> {
        let look = self.run(&mut Look::new(self.layout.clone()));
        look.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Goes through a procedure.
    pub(super) fn run<P: Procedure>(&mut self, procedure: &mut P) -> P::Output {
        run(procedure, self)
    }
}

/// What the flag names, or, if it may be that, the variable.
fn file(
    matches: &Matches,
    (flag, variable): (&str, &str),
    may_be_variable: bool,
) -> Option<PathBuf> {
    let named = || env::var_os(variable).filter(|_| may_be_variable);
    let given = matches.opt_str(flag).map(PathBuf::from);
    let file = given.or_else(|| named().map(PathBuf::from));
    file.filter(|file| !file.as_os_str().is_empty())
}

/// The value of a variable, unless it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The cluster whose pids are meant if no flag says it: that of the server whose variables these are.
pub(super) fn usual_cluster() -> Result<ClusterName, Failure> {
    match variable(CLUSTER) {
        None => Ok(ClusterName::default()),
        Some(name) => ClusterName::try_from(name)
            .map_err(|error| Failure::Usage(format!("{CLUSTER}: {error}"))),
    }
}

impl World for Place {
    fn call(&mut self, call: &Call) -> Result<Answer, CallError> {
        self.gateway.call(call)
    }

    fn wait(&mut self, wait: Duration) {
        thread::sleep(wait);
    }

    fn random(&mut self) -> u64 {
        getrandom::u64().expect("the system has random bits once it has started")
    }
}
