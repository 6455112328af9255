//! `ipseity-cli cert`: the files that it makes, as openssl and the file system see them, and what it refuses.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use ipseity_harness::{
    command, page,
    program::{Run, run},
};
use tempfile::TempDir;

/// A directory that certificates are made in.
struct Pki(TempDir);

impl Pki {
    fn new() -> Pki {
        Pki(TempDir::new().unwrap())
    }

    /// With a CA.
    fn with_ca() -> Pki {
        let pki = Pki::new();
        pki.cert(&["ca"]).good();
        pki
    }

    fn cert(&self, arguments: &[&str]) -> Run {
        let directory = self.0.path().to_str().unwrap();
        run(&[&["cert"], arguments, &["--dir", directory]].concat())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What openssl makes of a certificate.
    fn openssl(&self, name: &str) -> String {
        let file = self.path(name);
        let read = ["x509", "-in", &file, "-noout", "-text"];
        command::run(Command::new("openssl").args(read)).unwrap()
    }

    /// Whether openssl takes a certificate for this purpose, by the CAs in ca.pem.
    fn verifies(&self, name: &str, purpose: &str) -> bool {
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .args([self.path("ca.pem"), self.path(name)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

#[test]
fn openssl_reads_and_verifies_what_is_made() {
    let pki = Pki::with_ca();
    let ca = pki.openssl("ca.pem");
    for part in [
        "CA:TRUE, pathlen:0",
        "prime256v1",
        "Certificate Sign, CRL Sign",
    ] {
        assert!(ca.contains(part), "{part}: {ca}");
    }
    for (arguments, file, says, purposes) in [
        (
            &["server", "one.example", "10.0.0.1", "::1"][..],
            "one.example.pem",
            &[
                "DNS:one.example, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1",
                "CN = one.example",
            ][..],
            [true, false],
        ),
        (
            &["peer", "two.example"],
            "two.example.pem",
            &["DNS:two.example, URI:ipseity:role:peer"],
            [true, true],
        ),
        (
            &["client", "alice"],
            "alice.pem",
            &["URI:ipseity:role:client", "CN = alice"],
            [false, true],
        ),
        (
            &["operator", "o@example.org"],
            "o@example.org.pem",
            &["URI:ipseity:role:operator", "CN = o@example.org"],
            [false, true],
        ),
    ] {
        let told = pki.cert(arguments).good();
        assert!(
            told.contains(file) && told.contains("valid until 2"),
            "{told}"
        );
        let text = pki.openssl(file);
        let common = [
            "CA:FALSE",
            "prime256v1",
            "Digital Signature",
            "ecdsa-with-SHA256",
        ];
        for part in says.iter().chain(&common) {
            assert!(text.contains(part), "{part}: {text}");
        }
        let verified = ["sslserver", "sslclient"].map(|purpose| pki.verifies(file, purpose));
        assert_eq!(verified, purposes, "{file}");
    }
}

#[test]
fn lives_are_as_long_as_said_and_never_longer_than_that_of_the_ca() {
    let pki = Pki::new();
    pki.cert(&["ca", "--days", "400"]).good();
    let life = |name: &str| {
        let shown = pki_show(&pki, name);
        let number = |field: &str| shown[field].as_u64().unwrap();
        (
            number("not_after") - number("not_before"),
            number("not_after"),
        )
    };
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let (ca, ca_end) = life("ca.pem");
    // Valid from an hour ago on.
    assert_eq!(ca, 400 * DAY + HOUR);
    let told = pki.cert(&["client", "year"]).good();
    assert!(!told.contains("when its CA expires"), "{told}");
    assert_eq!(life("year.pem").0, 365 * DAY + HOUR);
    pki.cert(&["client", "day", "--days", "1"]).good();
    assert_eq!(life("day.pem").0, DAY + HOUR);
    let told = pki.cert(&["client", "long", "--days", "36525"]).good();
    assert!(told.contains("UTC, when its CA expires\n"), "{told}");
    assert_eq!(life("long.pem").1, ca_end);
    for days in ["0", "36526", "x"] {
        let refused = pki.cert(&["client", "never", "--days", days]);
        assert!(
            refused.bad(2).starts_with("--days takes a number from 1"),
            "{refused:?}"
        );
    }
}

/// The one certificate of a file in JSON.
fn pki_show(pki: &Pki, name: &str) -> serde_json::Value {
    let shown = run(&["cert", "show", "--json", &pki.path(name)]).good();
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn keys_are_for_their_owner_alone_and_belong_to_their_certificates() {
    let pki = Pki::with_ca();
    pki.cert(&["server", "one.example"]).good();
    // A key that was readable for all is replaced by one that is not.
    fs::set_permissions(
        pki.path("one.example.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let before = pki.read("one.example.key");
    pki.cert(&["server", "one.example", "--force"]).good();
    assert_ne!(pki.read("one.example.key"), before);
    for key in ["ca.key", "one.example.key"] {
        assert_eq!(pki.mode(key), 0o600, "{key}");
    }
    assert_eq!(pki.mode("one.example.pem") & 0o600, 0o600);
    let public = |arguments: &[&str], name: &str| {
        let file = pki.path(name);
        let arguments = [arguments, &["-in", &file]].concat();
        command::run(Command::new("openssl").args(arguments)).unwrap()
    };
    for name in ["ca", "one.example"] {
        assert_eq!(
            public(&["x509", "-noout", "-pubkey"], &format!("{name}.pem")),
            public(&["pkey", "-pubout"], &format!("{name}.key"))
        );
    }
    assert_eq!(
        pki.files(),
        ["ca.key", "ca.pem", "one.example.key", "one.example.pem"]
    );
}

#[test]
fn nothing_is_overwritten_unasked() {
    let pki = Pki::with_ca();
    pki.cert(&["client", "alice"]).good();
    let before: Vec<String> = pki.files().iter().map(|name| pki.read(name)).collect();
    let again = pki.cert(&["operator", "alice"]);
    let key = pki.path("alice.key");
    assert_eq!(
        again.bad(1),
        format!(
            "{key}: exists already: --force replaces the certificate and its key, --out chooses another name"
        )
    );
    let again = pki.cert(&["ca"]);
    assert!(
        again
            .bad(1)
            .contains("ca.key: exists already: there is a CA"),
        "{again:?}"
    );
    let forced = pki.cert(&["ca", "--force"]);
    assert!(forced.bad(2).contains("cert ca --rotate"), "{forced:?}");
    let reserved = pki.cert(&["client", "ca"]);
    assert!(
        reserved.bad(2).contains("the files of the CA"),
        "{reserved:?}"
    );
    // Of two files, neither is made if one exists.
    fs::write(pki.path("bob.pem"), "mine").unwrap();
    assert!(
        pki.cert(&["client", "bob"])
            .bad(1)
            .contains("bob.pem: exists already")
    );
    fs::remove_file(pki.path("bob.pem")).unwrap();
    let after: Vec<String> = pki.files().iter().map(|name| pki.read(name)).collect();
    assert_eq!(after, before);
    pki.cert(&["operator", "alice", "--out", "alice-operator"])
        .good();
    assert_eq!(pki_show(&pki, "alice-operator.pem")["roles"][0], "operator");
    assert_eq!(pki_show(&pki, "alice.pem")["roles"][0], "client");
}

#[test]
fn a_ca_is_replaced_while_both_are_trusted() {
    let pki = Pki::with_ca();
    pki.cert(&["server", "one.example"]).good();
    pki.cert(&["client", "alice"]).good();
    let old_key = pki.read("ca.key");
    let told = pki.cert(&["ca", "--rotate"]).good();
    assert!(told.contains("ca.pem: still trusts Ipseity CA "), "{told}");
    assert_eq!(pki.read("ca.1.key"), old_key);
    assert_eq!((pki.mode("ca.1.key"), pki.mode("ca.key")), (0o600, 0o600));
    assert_ne!(pki.read("ca.key"), old_key);
    let shown = run(&["cert", "show", &pki.path("ca.pem")]).good();
    assert_eq!(shown.matches("kind         CA").count(), 2, "{shown}");
    // The old and the new are trusted, and the new one signs.
    assert!(pki.verifies("one.example.pem", "sslserver"));
    pki.cert(&["client", "bob"]).good();
    let issuer = |name: &str| pki_show(&pki, name)["issuer"].clone();
    assert_ne!(issuer("bob.pem"), issuer("alice.pem"));
    assert!(pki.verifies("bob.pem", "sslclient"));
    // The old one is not dropped while somebody needs it.
    let early = pki.cert(&["ca", "--drop-old"]);
    for name in ["alice.pem", "one.example.pem"] {
        assert!(early.bad(1).contains(&pki.path(name)), "{early:?}");
    }
    assert!(!early.bad(1).contains("bob.pem"), "{early:?}");
    pki.cert(&["client", "alice", "--force"]).good();
    let early = pki.cert(&["ca", "--drop-old"]);
    assert!(!early.bad(1).contains("alice.pem"), "{early:?}");
    let told = pki.cert(&["ca", "--drop-old", "--force"]).good();
    assert!(told.contains("no longer trusts Ipseity CA "), "{told}");
    assert!(!pki.verifies("one.example.pem", "sslserver"));
    assert!(pki.verifies("alice.pem", "sslclient") && pki.verifies("bob.pem", "sslclient"));
    assert!(
        pki.cert(&["ca", "--drop-old"])
            .bad(1)
            .contains("nothing to drop")
    );
    // A second rotation keeps both old keys.
    let second = pki.read("ca.key");
    pki.cert(&["ca", "--rotate"]).good();
    assert_eq!(
        (pki.read("ca.1.key"), pki.read("ca.2.key")),
        (old_key, second)
    );
}

#[test]
fn a_rotation_wants_the_key_of_its_ca() {
    let (pki, other) = (Pki::with_ca(), Pki::with_ca());
    let before = pki.read("ca.pem");
    fs::write(pki.path("ca.key"), other.read("ca.key")).unwrap();
    let refused = pki.cert(&["ca", "--rotate"]);
    assert!(
        refused
            .bad(1)
            .contains("ca.key: is not the key of any CA in "),
        "{refused:?}"
    );
    assert_eq!(pki.read("ca.pem"), before);
    assert_eq!(pki.files(), ["ca.key", "ca.pem"]);
    // It is no harm if the key is kept elsewhere.
    fs::remove_file(pki.path("ca.key")).unwrap();
    pki.cert(&["ca", "--rotate"]).good();
    assert_eq!(pki.files(), ["ca.key", "ca.pem"]);
}

#[test]
fn a_file_that_is_a_pipe_is_refused_and_nobody_waits() {
    let pki = Pki::with_ca();
    pki.cert(&["client", "alice"]).good();
    command::run(Command::new("mkfifo").arg(pki.path("pipe"))).unwrap();
    let pipe = pki.path("pipe");
    let says = format!("{pipe}: is a pipe, and only regular files are read");
    let refused = run(&["cert", "show", &pipe]);
    assert!(refused.bad(1).starts_with(&says), "{refused:?}");
    let (ca, certificate) = (pki.path("ca.pem"), pki.path("alice.pem"));
    for files in [
        &["--tls-ca", &pipe][..],
        &["--tls-ca", &ca, "--tls-cert", &pipe, "--tls-key", &pipe],
        &[
            "--tls-ca",
            &ca,
            "--tls-cert",
            &certificate,
            "--tls-key",
            &pipe,
        ],
    ] {
        let refused = run(&[&["next", "--server", "tls://127.0.0.1:1"], files].concat());
        assert!(refused.bad(1).contains(&says), "{refused:?}");
    }
    // One that is no certificate is passed over.
    fs::rename(&pipe, pki.path("pipe.pem")).unwrap();
    pki.cert(&["ca", "--rotate"]).good();
    assert!(!pki.cert(&["ca", "--drop-old"]).bad(1).contains("pipe.pem"));
    // The files of the CA are read too.
    for name in ["ca.key", "ca.pem"] {
        fs::rename(pki.path("pipe.pem"), pki.path(name)).unwrap();
        for arguments in [&["client", "bob"][..], &["ca", "--rotate"]] {
            let refused = pki.cert(arguments);
            let says = format!("{}: is a pipe", pki.path(name));
            assert!(refused.bad(1).contains(&says), "{refused:?}");
        }
        fs::rename(pki.path(name), pki.path("pipe.pem")).unwrap();
    }
}

#[test]
fn a_certificate_that_cannot_be_written_leaves_its_key() {
    let pki = Pki::with_ca();
    pki.cert(&["client", "alice"]).good();
    let key = pki.read("alice.key");
    fs::remove_file(pki.path("alice.pem")).unwrap();
    fs::create_dir(pki.path("alice.pem")).unwrap();
    let refused = pki.cert(&["client", "alice", "--force"]);
    assert!(
        refused.bad(1).contains("alice.pem: cannot be written"),
        "{refused:?}"
    );
    assert_eq!(pki.read("alice.key"), key);
    assert_eq!(pki.files(), ["alice.key", "alice.pem", "ca.key", "ca.pem"]);
}

#[test]
fn a_rotation_that_was_interrupted_leaves_a_ca_that_can_sign() {
    let pki = Pki::with_ca();
    let old_key = pki.read("ca.key");
    pki.cert(&["ca", "--rotate"]).good();
    // As if it had ended between the two files.
    fs::write(pki.path("ca.key"), old_key).unwrap();
    pki.cert(&["client", "alice"]).good();
    assert!(pki.verifies("alice.pem", "sslclient"));
}

#[test]
fn a_ca_of_openssl_can_sign() {
    let pki = Pki::new();
    let files = [pki.path("ca.key"), pki.path("ca.pem")];
    let make = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/O=Example Ltd/OU=Machines/CN=Example Root",
        "-addext",
        "keyUsage=critical,keyCertSign",
    ];
    let mut openssl = Command::new("openssl");
    openssl
        .args(make)
        .args(["-keyout", &files[0], "-out", &files[1]]);
    command::run(&mut openssl).unwrap();
    pki.cert(&["peer", "one.example"]).good();
    assert!(pki.verifies("one.example.pem", "sslserver"));
    // An old form of key, which rcgen does not take.
    let old = ["ec", "-in", &files[0], "-out", &pki.path("old.key")];
    command::run(Command::new("openssl").args(old)).unwrap();
    fs::rename(pki.path("old.key"), &files[0]).unwrap();
    let refused = pki.cert(&["client", "alice"]);
    assert!(
        refused.bad(1).contains("openssl pkcs8 -topk8"),
        "{refused:?}"
    );
}

#[test]
fn what_is_missing_or_wrong_is_said_with_the_file() {
    let pki = Pki::new();
    let refused = pki.cert(&["client", "alice"]);
    assert_eq!(
        refused.bad(1),
        format!(
            "{}: is not there: cert ca makes it, or --dir names another directory",
            pki.path("ca.pem")
        )
    );
    pki.cert(&["ca"]).good();
    let key = pki.read("ca.key");
    let other = Pki::with_ca();
    for (text, says) in [
        (other.read("ca.key"), "ca.key: is not the key of any CA in "),
        (String::new(), "ca.key: has no private key"),
        (
            pki.read("ca.pem"),
            "ca.key: has certificates and no private key",
        ),
    ] {
        fs::write(pki.path("ca.key"), text).unwrap();
        let refused = pki.cert(&["client", "alice"]);
        assert!(refused.bad(1).contains(says), "{refused:?}");
    }
    fs::remove_file(pki.path("ca.key")).unwrap();
    assert!(
        pki.cert(&["client", "alice"])
            .bad(1)
            .contains("ca.key: is not there")
    );
    fs::write(pki.path("ca.key"), key).unwrap();
    for (arguments, says) in [
        (&["server"][..], "HOST is missing"),
        (&["server", "one.example:3264"], "without a port"),
        (&["peer", "a b"], "neither the name nor the address"),
        (&["client"], "NAME is missing: cert client alice"),
        (&["client", "a", "b"], "\"b\" is one argument too many"),
        (&["client", "a\nb"], "is not a name for a certificate"),
        (&["client", " "], "is not a name for a certificate"),
        (&["operator", "alice "], "is not a name for a certificate"),
        (&["client", "a\u{202e}b"], "is not a name for a certificate"),
        (
            &["client", "alice", "--out", "/tmp/x/zzz"],
            "--out takes a name only: --dir names the directory",
        ),
        (
            &["server", "bücher.example"],
            "write it in ASCII, as xn--...",
        ),
        (
            &["client", "alice", "--rotate"],
            "cert client takes no --rotate",
        ),
        (&["ca", "--rotate", "--drop-old"], "are two steps"),
        (&["ca", "--json"], "cert ca takes no --json"),
        (&["novel"], "there is no kind \"novel\""),
    ] {
        let refused = pki.cert(arguments);
        assert!(refused.bad(2).contains(says), "{arguments:?}: {refused:?}");
    }
    let many: Vec<String> = (0..9000).map(|n| format!("h{n}.example")).collect();
    let many: Vec<&str> = ["peer"]
        .into_iter()
        .chain(many.iter().map(String::as_str))
        .collect();
    let refused = pki.cert(&many);
    assert!(
        refused
            .bad(2)
            .contains("these are 9000 names and addresses, and a certificate has at most 100"),
        "{refused:?}"
    );
    assert_eq!(pki.files(), ["ca.key", "ca.pem"]);
    let nothing = run(&["cert", "show", &pki.path("ca.key")]);
    assert!(
        nothing.bad(1).contains("ca.key: has no certificate"),
        "{nothing:?}"
    );
}

#[test]
fn a_misspelt_role_is_shown() {
    let pki = Pki::with_ca();
    let [key, request, extension] = ["x.key", "x.csr", "x.cnf"].map(|name| pki.path(name));
    fs::write(&extension, "subjectAltName=URI:ipseity:role:Operator\n").unwrap();
    let (ca, ca_key, out) = (pki.path("ca.pem"), pki.path("ca.key"), pki.path("x.pem"));
    let openssl = |line: &str| {
        let mut openssl = Command::new("openssl");
        command::run(openssl.args(line.split(' '))).unwrap();
    };
    openssl(&format!(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout {key} -out {request}"
    ));
    openssl(&format!(
        "x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -days 9 -extfile {extension} -out {out}"
    ));
    let shown = run(&["cert", "show", &out]).good();
    assert!(
        shown.contains(
            "refused      it names the unknown role \"ipseity:role:Operator\": the roles are "
        ),
        "{shown}"
    );
    assert_eq!(
        pki_show(&pki, "x.pem")["unknown_role"],
        "ipseity:role:Operator"
    );
    assert_eq!(
        pki_show(&pki, "ca.pem")["unknown_role"],
        serde_json::Value::Null
    );
}

#[test]
fn show_says_what_a_certificate_is_for() {
    let pki = Pki::with_ca();
    pki.cert(&["peer", "one.example", "127.0.0.1"]).good();
    let shown = run(&[
        "cert",
        "show",
        &pki.path("one.example.pem"),
        &pki.path("ca.pem"),
    ])
    .good();
    for line in [
        "name         one.example",
        "hosts        one.example, 127.0.0.1",
        "role         peer",
        "shown by     servers and clients",
        "kind         CA",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert_eq!(shown.matches("days left)").count(), 2, "{shown}");
    let json = pki_show(&pki, "one.example.pem");
    assert_eq!(json["ip_addresses"][0], "127.0.0.1");
    assert_eq!(json["for_servers"], true);
}

/// What the page tells people to type is typed, in its order.
#[test]
fn the_commands_of_the_page_work() {
    let directory = TempDir::new().unwrap();
    let program = ipseity_harness::programs::ipseity_cli();
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let page = page::read("docs/operations.md");
    let blocks = page::blocks(&page, "sh");
    let is_of_certificates = |block: &&page::Fence| block.text.contains("ipseity-cli cert");
    let blocks: Vec<_> = blocks.iter().filter(is_of_certificates).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let mut shell = Command::new("bash");
        shell
            .args(["-ec", &block.text])
            .env("PATH", &path)
            .current_dir(&directory);
        command::run(&mut shell).unwrap();
    }
    let ca = directory.path().join("pki/ca.pem");
    let shown = run(&["cert", "show", ca.to_str().unwrap()]).good();
    assert_eq!(shown.matches("kind         CA").count(), 1, "{shown}");
}
