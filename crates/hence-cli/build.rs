//! Embeds the pages of `docs/errors/`, so that `hence explain` works without a network and always fits the binary.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    println!("cargo:rerun-if-changed={}", pages.display());
    let mut paths: Vec<_> = fs::read_dir(&pages)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut source = String::from("&[\n");
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let code = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let _ = writeln!(source, "    ({code:?}, include_str!({:?})),", path.canonicalize()?.display().to_string());
    }
    source.push(']');
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&folder).join("pages.rs"), source)
}
