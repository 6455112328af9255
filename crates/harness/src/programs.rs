//! Where the programs under test are, and where the repository is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The path of the server, `ipseity`: that in `IPSEITY_BIN`, or the one that cargo has built.
pub fn ipseity() -> PathBuf {
    match env::var_os("IPSEITY_BIN") {
        Some(path) => path.into(),
        None => program("ipseity"),
    }
}

/// The path of the command line client, `ipseity-cli`.
pub fn ipseity_cli() -> PathBuf {
    program("ipseity-cli")
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("this crate is two folders below the root")
        .to_owned()
}

/// Cargo puts the programs of the root package beside those of other packages and beside the folder of its tests, and
/// builds them first.
fn program(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let places: Vec<PathBuf> = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .collect();
    match places.iter().find(|path| path.exists()) {
        Some(path) => path.clone(),
        None => panic!(
            "{places:?} are missing: cargo test builds it for the tests of the root package, and \
             cargo build --bin {name} for others"
        ),
    }
}
