//! The certificates of scripted servers. They are made once for a run.

use std::{collections::BTreeMap, sync::Arc};

use ipseity_harness::pki::{Life, Pki, server_of};
use rustls::ServerConfig;
use serde_json::{Value, json};

/// Hosts that a good certificate is for.
const HOSTS: &[&str] = &["127.0.0.1", "::1", "localhost"];

/// A CA that the clients believe, and servers with certificates of all kinds.
pub struct Certificates {
    servers: BTreeMap<&'static str, Arc<ServerConfig>>,
    /// What an adapter is told: the CA, and a certificate of a client.
    files: Value,
    good: Pki,
    // Its files go when it is dropped.
    _other: Pki,
}

impl Certificates {
    /// Makes all of them.
    pub fn new() -> Certificates {
        let good = Pki::new("the CA of the kit");
        let other = Pki::new("another CA");
        good.issue("good", HOSTS, Life::Now);
        good.issue("expired", HOSTS, Life::Expired);
        good.issue("not-yet", HOSTS, Life::NotYet);
        good.issue("wrong-name", &["other.example"], Life::Now);
        good.issue("only-address", &["127.0.0.1"], Life::Now);
        good.issue("only-name", &["localhost"], Life::Now);
        good.issue("other-address", &["127.0.0.2", "localhost"], Life::Now);
        good.issue("all-names", &["*.kit.test"], Life::Now);
        // Its only name is the common one, which is that of its file.
        good.issue("localhost", &[], Life::Now);
        good.issue(
            "deep-names",
            &["*.test", "kit.test", "*.ids.kit.test"],
            Life::Now,
        );
        good.issue("client", &["client.example"], Life::Now);
        other.issue("unknown", HOSTS, Life::Now);
        let directory = |pki: &Pki| {
            let file = pki.path("ca.pem");
            file.parent().expect("a file is in a folder").to_owned()
        };
        let server = |name: &str, asks: bool| server_of(&directory(&good), name, asks);
        let servers = BTreeMap::from([
            ("good", server("good", false)),
            ("asks", server("good", true)),
            ("expired", server("expired", false)),
            ("not-yet", server("not-yet", false)),
            ("wrong-name", server("wrong-name", false)),
            ("only-address", server("only-address", false)),
            ("only-name", server("only-name", false)),
            ("other-address", server("other-address", false)),
            ("all-names", server("all-names", false)),
            ("common-name", server("localhost", false)),
            ("deep-names", server("deep-names", false)),
            (
                "unknown-ca",
                server_of(&directory(&other), "unknown", false),
            ),
        ]);
        let files = json!({
            "ca": good.file("ca.pem"),
            "cert": good.file("client.pem"),
            "key": good.file("client.key"),
        });
        Certificates {
            servers,
            files,
            good,
            _other: other,
        }
    }

    /// What a server with this kind of certificate needs.
    pub fn server(&self, kind: &str) -> Option<Arc<ServerConfig>> {
        self.servers.get(kind).cloned()
    }

    /// The files of a good certificate of a server, and of its key.
    pub fn server_files(&self) -> (String, String) {
        (self.good.file("good.pem"), self.good.file("good.key"))
    }

    /// The files that a client is told: only the CA, or a certificate of its own too.
    pub fn files(&self, shows_own: bool) -> Value {
        let mut files = self.files.clone();
        if !shows_own {
            files
                .as_object_mut()
                .expect("it is an object")
                .retain(|name, _| name == "ca");
        }
        files
    }
}
