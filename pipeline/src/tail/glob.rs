//! Which files a path or pattern leads to, in the order of their names.

use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Folders below a `**` that are entered at most: a guard against a tree without end.
const DEPTH_MAX: usize = 16;

/// Ends of names that are never text.
const COMPRESSED: [&str; 7] = ["gz", "bz2", "xz", "zst", "zip", "lz4", "Z"];

/// One path or pattern of a set.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    steps: Vec<Step>,
    whole: GlobMatcher,
}

#[derive(Debug)]
enum Step {
    Name(PathBuf),
    Match(GlobMatcher),
    AnyDepth,
}

/// What [`Pattern::expand`] found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files, or what may be files.
    pub(super) paths: Vec<PathBuf>,
    /// Folders in which a file may appear.
    pub(super) folders: Vec<PathBuf>,
    /// Folders that cannot be listed, and why.
    pub(super) problems: Vec<(PathBuf, io::Error)>,
}

impl Pattern {
    /// A pattern, made absolute.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let absolute = std::path::absolute(text).map_err(|error| format!("{text}: {error}"))?;
        let build = |part: &str| {
            let glob =
                GlobBuilder::new(part).literal_separator(true).backslash_escape(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| {
                let why = error.kind();
                format!("{text}: {why}: write \\ before a sign of a pattern that stands for itself")
            })
        };
        let mut steps = Vec::new();
        for component in absolute.components() {
            let Component::Normal(name) = component else { continue };
            let name = name.to_string_lossy();
            steps.push(match name.as_ref() {
                "**" => Step::AnyDepth,
                name if name.contains(['*', '?', '[', '{']) => Step::Match(build(name)?),
                name => Step::Name(name.into()),
            });
        }
        let whole = build(&absolute.to_string_lossy())?;
        Ok(Self { text: text.to_owned(), steps, whole })
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Would this path be found, if the file existed?
    pub(super) fn is_match(&self, path: &Path) -> bool {
        self.whole.is_match(path) || self.literal().is_some_and(|literal| literal == path)
    }

    fn literal(&self) -> Option<PathBuf> {
        let mut path = PathBuf::from("/");
        for step in &self.steps {
            let Step::Name(name) = step else { return None };
            path.push(name);
        }
        Some(path)
    }

    /// Adds what is there now.
    pub(super) fn expand(&self, found: &mut Found) {
        walk(Path::new("/"), &self.steps, 0, found);
    }
}

fn walk(folder: &Path, steps: &[Step], depth: usize, found: &mut Found) {
    let Some((step, rest)) = steps.split_first() else { return };
    match step {
        Step::Name(name) => {
            let path = folder.join(name);
            if rest.is_empty() {
                found.folders.push(folder.to_owned());
                found.paths.push(path);
            } else {
                match std::fs::metadata(&path) {
                    Ok(_) => walk(&path, rest, depth, found),
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        found.problems.push((path, error));
                    }
                    // It may appear: its nearest folder tells.
                    Err(_) => found.folders.push(folder.to_owned()),
                }
            }
        }
        Step::Match(matcher) => {
            found.folders.push(folder.to_owned());
            for name in list(folder, found) {
                if !matcher.is_match(&name) {
                    continue;
                }
                let path = folder.join(&name);
                if !rest.is_empty() {
                    walk(&path, rest, depth, found);
                } else if !is_compressed(&path) {
                    found.paths.push(path);
                }
            }
        }
        Step::AnyDepth => {
            walk(folder, rest, depth, found);
            let folders = if depth < DEPTH_MAX { list(folder, found) } else { Vec::new() };
            for path in folders.into_iter().map(|name| folder.join(name)) {
                if path.is_dir() && !path.is_symlink() {
                    walk(&path, steps, depth + 1, found);
                }
            }
        }
    }
}

fn list(folder: &Path, found: &mut Found) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().into()).collect(),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Vec::new()
        }
        Err(error) => {
            found.problems.push((folder.to_owned(), error));
            Vec::new()
        }
    };
    names.sort();
    names
}

/// The files in the folder of `path`, `path` included, compressed ones left out.
pub(super) fn siblings(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let names = list(folder, &mut Found::default());
    names.into_iter().map(|name| folder.join(name)).filter(|path| !is_compressed(path)).collect()
}

/// By its name; what a rotation has compressed is not read again.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| COMPRESSED.iter().any(|known| end == *known))
}

/// Says why a text is neither a path nor a pattern.
pub(crate) fn check_pattern(text: &str) -> Result<(), String> {
    Pattern::new(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_all_of_the_pattern_and_what_is_wrong_with_it() {
        let error = check_pattern("logs/[a.log").expect_err("the class has no end");
        assert!(error.starts_with("logs/[a.log: ") && error.contains("unclosed"), "{error}");
        assert_eq!(check_pattern("logs/a-*.log"), Ok(()));
    }

    #[test]
    fn files_come_in_the_order_of_their_names_and_compressed_ones_never() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in
            ["laravel-2024-01-02.log", "laravel-2024-01-01.log", "laravel-1.log.gz", "b.log"]
        {
            std::fs::write(folder.path().join(name), b"").expect("write");
        }
        std::fs::create_dir_all(folder.path().join("a/b")).expect("folders");
        std::fs::write(folder.path().join("a/b/laravel-3.log"), b"").expect("write");
        let expand = |pattern: &str| {
            let pattern = Pattern::new(&folder.path().join(pattern).to_string_lossy());
            let mut found = Found::default();
            pattern.expect("valid").expand(&mut found);
            let names = found.paths.iter().map(|path| path.strip_prefix(folder.path()));
            names.map(|n| n.expect("below").display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(expand("laravel-*"), ["laravel-2024-01-01.log", "laravel-2024-01-02.log"]);
        assert_eq!(
            expand("**/laravel-*.log"),
            ["laravel-2024-01-01.log", "laravel-2024-01-02.log", "a/b/laravel-3.log"]
        );
        assert_eq!(expand("later.log"), ["later.log"]);
    }
}
