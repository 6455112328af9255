//! Writes the seeds of the fuzzer, each into a file `corpus/TARGET/NAME`.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and may fail if they cannot"
)]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::{fs, path::Path};

use ipseity_sim::properties::seeds;

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).unwrap();
        for (number, bytes) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), bytes).unwrap();
        }
        println!("{}: {} seeds", folder.display(), seeds.len());
    }
}
