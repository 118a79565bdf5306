//! The files of definitions: which there are, what stands in them, and putting them into a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hence::Client;
use hence::core::definition::{Definition, Loaded};
use hence::core::diagnostic::Diagnostic;

use crate::diagnostics;
use crate::problem::{Exit, Problem};

/// One file, read and judged.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) source: String,
    pub(crate) loaded: Result<Loaded, Vec<Diagnostic>>,
}

impl File {
    /// Everything that is to be said about it: problems, or warnings.
    pub(crate) fn diagnostics(&self) -> &[Diagnostic] {
        match &self.loaded {
            Ok(loaded) => &loaded.warnings,
            Err(problems) => problems,
        }
    }
}

/// Reads the files, and the `.toml` files of the folders, in the order of their names.
/// # Errors
/// A path that is not there or cannot be read, or no file at all.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<File>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        for path in expand(path)? {
            let source = std::fs::read_to_string(&path).map_err(|error| Problem::file("read", &path, &error))?;
            let loaded = Definition::load(&source);
            files.push(File { path, source, loaded });
        }
    }
    if files.is_empty() {
        let places: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let message = format!("no definition was found in {}", places.join(", "));
        return Err(Problem::new("HNC-0324", message, Exit::NotFound).help("make a first one with `hence init`"));
    }
    Ok(files)
}

fn expand(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let problem = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::not_found(format!("there is no file or folder {}", path.display()))
            .help("say which with `hence check PATH`, or make a first definition with `hence init`"),
        _ => Problem::file("read", path, error),
    };
    let kind = std::fs::metadata(path).map_err(|error| problem(&error))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| problem(&error))? {
        let path = entry.map_err(|error| problem(&error))?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads all files and refuses unless every one of them can be used; problems are drawn on stderr.
/// # Errors
/// What [`read`] says, or that definitions have problems.
pub(crate) fn usable(paths: &[PathBuf]) -> Result<Vec<File>, Problem> {
    let files = read(paths)?;
    let broken: Vec<&File> = files.iter().filter(|file| file.loaded.is_err()).collect();
    for file in &broken {
        diagnostics::note(&file.path, &file.source, file.diagnostics());
    }
    match broken.len() {
        0 => Ok(files),
        count => Err(Problem::new("HNC-0325", format!("{count} definition(s) cannot be used"), Exit::Definitions)
            .help("mend what is marked above; `hence check` shows it again")),
    }
}

/// Makes every file's definition the current one of its name.
/// # Errors
/// The store cannot be written.
pub(crate) async fn publish(client: &Client, files: &[File]) -> Result<Vec<Arc<Definition>>, Problem> {
    let mut published = Vec::new();
    for file in files {
        published.push(client.put_definition(&file.source).await?);
    }
    Ok(published)
}
