//! Input roots to sources, in an order that depends on names alone: folder by folder, the names
//! of each compared byte by byte. The only reader of folders.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use crate::{
    error::{ItemError, RunError},
    format::{self, SNIFF_BYTES},
    source::{self, Source},
};

/// What is looked at below the roots.
#[derive(Debug, Clone)]
pub struct WalkOptions {
    /// Only files that match one of these; all when empty.
    pub include: Globs,
    /// Files and folders that match one of these are left out.
    pub exclude: Globs,
    /// Also names that begin with a dot.
    pub hidden: bool,
    /// Also what symbolic links lead to.
    pub follow_symlinks: bool,
    /// Rows for files that are no images, too.
    pub every_file: bool,
    /// Files that changed less than this ago are left out.
    pub min_age: Option<Duration>,
}

/// Patterns for relative paths. One without `/` matches a name in any folder.
#[derive(Debug, Clone)]
pub struct Globs {
    set: GlobSet,
    patterns: Vec<String>,
}

impl Globs {
    /// Compiles `patterns`; `*` does not cross `/`, `**` does.
    ///
    /// # Errors
    ///
    /// A message that names `key` and the pattern.
    pub fn compile(key: &str, patterns: &[String]) -> Result<Self, String> {
        let bad = |pattern: &str, error: &globset::Error| {
            format!("`{key}` has the pattern `{pattern}`, which is not valid: {}", error.kind())
        };
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let anywhere = if pattern.contains('/') { "" } else { "**/" };
            let whole = format!("{anywhere}{}", pattern.trim_start_matches("./"));
            let glob = GlobBuilder::new(&whole).literal_separator(true).build();
            set.add(glob.map_err(|error| bad(pattern, &error))?);
        }
        let set = set.build();
        set.map(|set| Self { set, patterns: patterns.to_vec() })
            .map_err(|error| format!("`{key}` is not valid: {}", error.kind()))
    }

    fn matches(&self, relative: &Path) -> bool {
        self.set.is_match(relative)
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.patterns)
    }
}

/// What the walk met.
#[derive(Debug)]
pub enum Met {
    /// A regular file that is an image by its extension or its first bytes.
    Candidate(Source),
    /// Something that has to be a row, and cannot be read.
    Failed(Source, ItemError),
    /// Something that is no candidate.
    Skipped(Skip),
}

/// Why something is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// A file that is no image by extension and content.
    NotAnImage,
    /// A symbolic link, not followed.
    Symlink,
    /// A pipe, socket or device.
    Special,
    /// A file that changed less than `min-age` ago: something may still be writing it.
    TooYoung,
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::NotAnImage, Self::Symlink, Self::Special, Self::TooYoung];

    /// The word for it in the summary and the manifest.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotAnImage => "not an image",
            Self::Symlink => "symbolic link, not followed",
            Self::Special => "pipe, socket or device",
            Self::TooYoung => "younger than `min-age`",
        }
    }
}

/// The walk over all roots, lazily: at most the names of the folders on the current path are in
/// memory.
pub struct Walk {
    options: Arc<WalkOptions>,
    roots: std::vec::IntoIter<Root>,
    current: Option<(Root, Entries)>,
    /// Roots that were begun.
    begun: u32,
}

type Entries = Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + Send>;

#[derive(Debug, Clone)]
struct Root {
    path: PathBuf,
    /// Put before every name, when several roots would mix up their names.
    prefix: Vec<u8>,
}

impl Walk {
    /// Prepares the walk over `roots`: folders, or single files, which are candidates whatever
    /// their name. With one folder, names are relative to it; otherwise each name begins with its
    /// root as it was written.
    ///
    /// # Errors
    ///
    /// `Input` when a root is not there.
    pub fn new(roots: &[PathBuf], options: WalkOptions) -> Result<Self, RunError> {
        let single_folder = roots.len() == 1 && roots[0].is_dir();
        let mut known = Vec::new();
        for path in roots {
            fs::metadata(path).map_err(|source| RunError::Input { path: path.clone(), source })?;
            let prefix = if single_folder { Vec::new() } else { name_bytes(path) };
            known.push(Root { path: path.clone(), prefix });
        }
        Ok(Self { options: Arc::new(options), roots: known.into_iter(), current: None, begun: 0 })
    }

    /// The number, from 0, of the root below which the last one met is.
    #[must_use]
    pub fn root(&self) -> u32 {
        self.begun.saturating_sub(1)
    }

    fn start(&self, root: &Root) -> Entries {
        let options = Arc::clone(&self.options);
        let base = root.path.clone();
        let tree = WalkDir::new(&root.path).follow_links(options.follow_symlinks);
        // Loops are found by walkdir when links are followed; folders below a file system's mount
        // point are walked like any other.
        let wanted = move |entry: &DirEntry| {
            entry.depth() == 0
                || (options.hidden || !entry.file_name().as_encoded_bytes().starts_with(b"."))
                    && !options.exclude.matches(below(&base, entry.path()))
        };
        Box::new(tree.sort_by_file_name().into_iter().filter_entry(wanted))
    }

    fn meet(&self, root: &Root, entry: &DirEntry) -> Option<Met> {
        let file_type = entry.file_type();
        if file_type.is_dir() {
            return None;
        }
        let relative = below(&root.path, entry.path());
        let options = &self.options;
        if entry.depth() > 0
            && !options.include.set.is_empty()
            && !options.include.matches(relative)
        {
            return None;
        }
        let source = || source_below(root, entry.path());
        // A root that is a file was named by the user: it is a candidate whatever it is.
        let wanted =
            entry.depth() == 0 || options.every_file || format::has_image_extension(entry.path());
        if file_type.is_symlink() {
            let link = ItemError::NotRegular { what: "a symbolic link" };
            return Some(if options.every_file {
                Met::Failed(source(), link)
            } else {
                Met::Skipped(Skip::Symlink)
            });
        }
        if !file_type.is_file() {
            let special = ItemError::NotRegular { what: "a pipe, socket or device" };
            return Some(if wanted {
                Met::Failed(source(), special)
            } else {
                Met::Skipped(Skip::Special)
            });
        }
        if options.min_age.is_some_and(|age| is_younger(entry.path(), age)) {
            return Some(Met::Skipped(Skip::TooYoung));
        }
        if wanted {
            return Some(Met::Candidate(source()));
        }
        let mut head = [0; SNIFF_BYTES];
        Some(match source::read_head(entry.path(), options.follow_symlinks, &mut head) {
            Ok(count) if format::sniff(&head[..count]).is_some() => Met::Candidate(source()),
            Ok(_) | Err(ItemError::Vanished) => Met::Skipped(Skip::NotAnImage),
            Err(error) => Met::Failed(source(), error),
        })
    }

    /// What cannot be listed or followed becomes a row under its own name.
    fn unlisted(root: &Root, error: &walkdir::Error) -> Result<Met, RunError> {
        let path = error.path().unwrap_or(&root.path);
        let cause = || {
            error.io_error().map_or_else(
                || io::Error::other(error.to_string()),
                |io| io::Error::new(io.kind(), io.to_string()),
            )
        };
        if error.depth() == 0 && error.loop_ancestor().is_none() {
            return Err(RunError::Input { path: path.to_owned(), source: cause() });
        }
        let source = source_below(root, path);
        let reason = match error.loop_ancestor() {
            Some(_) => ItemError::SymlinkLoop,
            None => ItemError::Unreadable(cause()),
        };
        Ok(Met::Failed(source, reason))
    }
}

/// Whether a file changed less than `age` ago. One from the future did; one that cannot be looked
/// at is told when it is read.
fn is_younger(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() < age)
}

/// The file at `path`, named as seen from its root.
fn source_below(root: &Root, path: &Path) -> Source {
    let relative = below(&root.path, path);
    let mut name = root.prefix.clone();
    if !relative.as_os_str().is_empty() {
        if !name.is_empty() && !name.ends_with(b"/") {
            name.push(b'/');
        }
        name.extend(name_bytes(relative));
    }
    Source { path: path.to_owned(), name }
}

impl Iterator for Walk {
    type Item = Result<Met, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((root, mut entries)) = self.current.take() else {
                let root = self.roots.next()?;
                let entries = self.start(&root);
                self.begun += 1;
                self.current = Some((root, entries));
                continue;
            };
            let Some(entry) = entries.next() else { continue };
            let met = match entry {
                Ok(entry) => self.meet(&root, &entry).map(Ok),
                Err(error) => Some(Self::unlisted(&root, &error)),
            };
            self.current = Some((root, entries));
            if met.is_some() {
                return met;
            }
        }
    }
}

fn below<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// The bytes of a path with `/` between its components, on every platform.
fn name_bytes(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if cfg!(windows) {
        bytes.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
    } else {
        bytes.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> WalkOptions {
        let none = || Globs::compile("include", &[]).unwrap();
        WalkOptions {
            include: none(),
            exclude: none(),
            hidden: false,
            follow_symlinks: false,
            every_file: false,
            min_age: None,
        }
    }

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"text").unwrap();
        }
        folder
    }

    /// Candidates as they are, failures as `name!code`, and skipped ones as `-`.
    fn met(folder: &Path, options: WalkOptions) -> Vec<String> {
        let text = |source: &Source| String::from_utf8_lossy(&source.name).into_owned();
        Walk::new(&[folder.to_owned()], options)
            .unwrap()
            .map(|met| match met.unwrap() {
                Met::Candidate(source) => text(&source),
                Met::Failed(source, error) => format!("{}!{}", text(&source), error.code()),
                Met::Skipped(_) => "-".to_owned(),
            })
            .collect()
    }

    #[test]
    fn order_is_component_by_component_and_bytewise() {
        let folder =
            tree(&["b/1.jpg", "b.jpg", "a/2.jpg", "a/10.jpg", "B.jpg", "b-1.jpg", "é.jpg"]);
        assert_eq!(
            met(folder.path(), options()),
            ["B.jpg", "a/10.jpg", "a/2.jpg", "b/1.jpg", "b-1.jpg", "b.jpg", "é.jpg"]
        );
    }

    #[test]
    fn content_makes_a_candidate_of_a_file_without_extension() {
        let folder = tree(&["notes.txt", "photo"]);
        fs::write(folder.path().join("photo"), b"\xFF\xD8\xFF\xE0").unwrap();
        assert_eq!(met(folder.path(), options()), ["-", "photo"]);
        let every = WalkOptions { every_file: true, ..options() };
        assert_eq!(met(folder.path(), every), ["notes.txt", "photo"]);
    }

    #[test]
    fn globs_and_hidden_files_prune_the_tree() {
        let folder = tree(&["keep/a.jpg", "thumbs/a.jpg", "keep/b.png", ".git/c.jpg", ".d.jpg"]);
        let globs = |text: &str| Globs::compile("exclude", &[text.to_owned()]).unwrap();
        let exclude = WalkOptions { exclude: globs("thumbs"), ..options() };
        assert_eq!(met(folder.path(), exclude), ["keep/a.jpg", "keep/b.png"]);
        let include = WalkOptions { include: globs("*.png"), ..options() };
        assert_eq!(met(folder.path(), include), ["keep/b.png"]);
        let deep = WalkOptions { include: globs("keep/**"), ..options() };
        assert_eq!(met(folder.path(), deep), ["keep/a.jpg", "keep/b.png"]);
        let hidden = WalkOptions { hidden: true, ..options() };
        assert_eq!(met(folder.path(), hidden).len(), 5);
        assert!(Globs::compile("include", &["[".to_owned()]).unwrap_err().contains("`include`"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_left_alone_and_loops_end() {
        let folder = tree(&["d/a.jpg"]);
        std::os::unix::fs::symlink("..", folder.path().join("d/up")).unwrap();
        std::os::unix::fs::symlink("gone", folder.path().join("d/x.jpg")).unwrap();
        assert_eq!(met(folder.path(), options()), ["d/a.jpg", "-", "-"]);
        let follow = WalkOptions { follow_symlinks: true, ..options() };
        assert_eq!(
            met(folder.path(), follow),
            ["d/a.jpg", "d/up!symlink_loop", "d/x.jpg!unreadable"]
        );
    }

    #[test]
    fn several_roots_keep_their_names_apart() {
        let (one, two) = (tree(&["a.jpg"]), tree(&["a.jpg"]));
        let roots = [one.path().to_owned(), two.path().join("a.jpg")];
        let names: Vec<_> = Walk::new(&roots, options())
            .unwrap()
            .map(|met| match met.unwrap() {
                Met::Candidate(source) => source.name,
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [roots[0].join("a.jpg"), roots[1].clone()].map(|path| name_bytes(&path));
        assert_eq!(names, expected);
        assert!(Walk::new(&[one.path().join("gone")], options()).is_err());
    }
}
