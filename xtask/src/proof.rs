//! The commands that measure Hence and kill it: they build what is needed and hand over to the crate `hence-proof`.

use std::path::Path;

use anyhow::Result;

use crate::gate::cargo::Cargo;

/// Measures, built for release.
pub(crate) fn bench(root: &Path, options: &[String]) -> Result<()> {
    let mut arguments = vec!["--release", "--quiet", "--package", "hence-proof", "--", "bench"];
    arguments.extend(options.iter().map(String::as_str));
    Cargo::new(root, false).run("run", &arguments)
}

/// Builds the binary as the tests do, and kills it, in the way that `how` names.
pub(crate) fn kill(root: &Path, how: &str, options: &[String]) -> Result<()> {
    let cargo = Cargo::new(root, false);
    cargo.run("build", &["--quiet", "--workspace"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let hence = target.join("debug/hence").display().to_string();
    let mut arguments = vec!["--quiet", "--package", "hence-proof", "--", how, "--hence", &hence];
    arguments.extend(options.iter().map(String::as_str));
    cargo.run("run", &arguments)
}

/// Builds and runs the program that has sqlx beside Hence. It is no member of the workspace, because of the SQLite that it links.
pub(crate) fn beside_sqlx(root: &Path) -> Result<()> {
    let target = root.join("target/beside-sqlx").display().to_string();
    let arguments = ["--quiet", "--manifest-path", "examples/beside-sqlx/Cargo.toml", "--target-dir", &target];
    Cargo::new(root, false).run("run", &arguments)
}
