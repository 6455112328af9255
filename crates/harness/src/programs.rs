//! Where the programs under test are, and where the repository is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The path of the server, `ipseity`.
pub fn ipseity() -> PathBuf {
    program("ipseity")
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

/// Cargo puts the programs of the root package beside the folder of its tests, and builds them first.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo test builds it for the tests of the root package",
        path.display()
    );
    path
}
