//! All that is to be written, in memory, until everything has found its place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::refused;
use crate::error::LocalError;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Planned {
    /// A new one.
    Created { text: String },
    /// One that is there: as it was, as it will be, and what was put into it.
    Changed {
        before: String,
        text: String,
        added: Vec<String>,
    },
}

impl Planned {
    fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Created { text } | Self::Changed { text, .. } => text,
        }
    }
}

/// Files to create and to change, by their paths in the workspace.
#[derive(Debug)]
pub(super) struct Plan {
    root: PathBuf,
    files: BTreeMap<String, Planned>,
}

impl Plan {
    /// Nothing yet, in the workspace at `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
        }
    }

    /// Whether there is such a file or folder.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names in a folder, sorted.
    pub(super) fn names_in(&self, folder: &str) -> Result<Vec<String>, LocalError> {
        let read = || -> std::io::Result<Vec<String>> {
            std::fs::read_dir(self.root.join(folder))?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect()
        };
        let mut names = read().map_err(|error| LocalError::file(folder, error))?;
        names.sort();
        Ok(names)
    }

    /// A file as it is.
    pub(super) fn read(&self, path: &str) -> Result<String, LocalError> {
        std::fs::read_to_string(self.root.join(path)).map_err(|error| LocalError::file(path, error))
    }

    /// Creates a file, which must not be there.
    pub(super) fn create(&mut self, path: &str, text: String) -> Result<(), LocalError> {
        if self.exists(path) {
            return Err(refused(path, "is there already; choose another name"));
        }
        self.files
            .insert(path.to_owned(), Planned::Created { text });
        Ok(())
    }

    /// Puts lines before the last of these lines, which are looked for one after the other, each
    /// by what it begins with.
    pub(super) fn insert(
        &mut self,
        path: &str,
        anchors: &[&str],
        lines: &str,
    ) -> Result<(), LocalError> {
        let (text, added) = self.changed(path)?;
        let at = find(text, anchors).map_err(|anchor| no_place(path, anchor))?;
        text.insert_str(at, lines);
        added.push(lines.to_owned());
        Ok(())
    }

    /// Puts a line into a block of sorted lines, which begins after the line `anchor` and ends
    /// with an empty one. A comment stays with the line after it.
    pub(super) fn insert_sorted(
        &mut self,
        path: &str,
        anchor: &str,
        line: &str,
    ) -> Result<(), LocalError> {
        let (text, added) = self.changed(path)?;
        let found = line_that_begins(text, 0, anchor).ok_or_else(|| no_place(path, anchor))?;
        let mut at = next_line(text, found);
        let mut place = at;
        for there in text[at..].split_inclusive('\n') {
            if there.trim().is_empty() || (there > line && !there.starts_with('#')) {
                break;
            }
            at += there.len();
            if !there.starts_with('#') {
                place = at;
            }
        }
        text.insert_str(place, line);
        added.push(line.to_owned());
        Ok(())
    }

    /// Adds to the number at the end of the last of these lines, `("write_units", 12.0),`; they
    /// are looked for as for [`Plan::insert`].
    pub(super) fn add(
        &mut self,
        path: &str,
        anchors: &[&str],
        more: u32,
    ) -> Result<(), LocalError> {
        let (text, added) = self.changed(path)?;
        let last = anchors.last().copied().unwrap_or_default();
        let at = find(text, anchors).map_err(|anchor| no_place(path, anchor))?;
        let line = text[at..next_line(text, at)].to_owned();
        let number = line.trim_end().strip_suffix(".0),");
        let split = number.and_then(|line| line.rsplit_once(' '));
        let Some((before, Ok(was))) = split.map(|(before, was)| (before, was.parse::<u32>()))
        else {
            return Err(no_place(path, last));
        };
        let now = format!("{before} {}.0),\n", was + more);
        text.replace_range(at..at + line.len(), &now);
        added.push(now);
        Ok(())
    }

    /// Puts another text in the place of a whole file; `added` says what is new in it.
    pub(super) fn rewrite(
        &mut self,
        path: &str,
        whole: String,
        new: &str,
    ) -> Result<(), LocalError> {
        let (text, added) = self.changed(path)?;
        *text = whole;
        added.push(new.to_owned());
        Ok(())
    }

    fn changed(&mut self, path: &str) -> Result<(&mut String, &mut Vec<String>), LocalError> {
        if !self.files.contains_key(path) {
            let before = self.read(path)?;
            let planned = Planned::Changed {
                text: before.clone(),
                before,
                added: Vec::new(),
            };
            self.files.insert(path.to_owned(), planned);
        }
        match self.files.get_mut(path) {
            Some(Planned::Changed { text, added, .. }) => Ok((text, added)),
            _ => Err(refused(path, "is new, and cannot be changed as well")),
        }
    }

    /// Formats the Rust files; false where there is no rustfmt.
    pub(super) fn format(&mut self) -> Result<bool, LocalError> {
        let is_rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
        for (path, file) in self.files.iter_mut().filter(|(path, _)| is_rust(path)) {
            let text = file.text_mut();
            match rustfmt(&self.root, text) {
                Ok(Ok(formatted)) => *text = formatted,
                Ok(Err(problem)) => {
                    return Err(refused(
                        path,
                        format!("would be no Rust any more: {problem}"),
                    ));
                }
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Writes everything; where that fails, what was written is taken back.
    pub(super) fn write(&self) -> Result<(), LocalError> {
        for (done, (path, file)) in self.files.iter().enumerate() {
            let (Planned::Created { text } | Planned::Changed { text, .. }) = file;
            if let Err(error) = write(&self.root.join(path), text) {
                for (path, file) in self.files.iter().take(done + 1) {
                    let path = self.root.join(path);
                    // What cannot be taken back is what could not be written either.
                    let _ = match file {
                        Planned::Created { .. } => std::fs::remove_file(path),
                        Planned::Changed { before, .. } => std::fs::write(path, before),
                    };
                }
                return Err(LocalError::file(path, error));
            }
        }
        Ok(())
    }

    /// One line per file.
    pub(super) fn summary(&self) -> String {
        let line = |(path, file): (&String, &Planned)| match file {
            Planned::Created { .. } => format!("created  {path}\n"),
            Planned::Changed { .. } => format!("changed  {path}\n"),
        };
        let (created, changed): (Vec<_>, Vec<_>) = self
            .files
            .iter()
            .partition(|(_, file)| matches!(file, Planned::Created { .. }));
        created.into_iter().chain(changed).map(line).collect()
    }

    /// Every new file, and what is put into those that are there.
    pub(super) fn preview(&self) -> String {
        let mut preview = String::new();
        for (path, file) in &self.files {
            // Writing to a text cannot fail.
            let _ = match file {
                Planned::Created { text } => writeln!(preview, "==> {path} (new)\n{text}"),
                Planned::Changed { added, .. } => {
                    writeln!(preview, "==> {path} (added)\n{}", added.concat())
                }
            };
        }
        preview + &self.summary()
    }
}

fn no_place(path: &str, anchor: &str) -> LocalError {
    let anchor = anchor.trim();
    refused(
        path,
        format!(
            "has no line that begins with `{anchor}`, where something new belongs; nothing was written"
        ),
    )
}

/// Where the last of these lines starts, each looked for after the one before; the error is the
/// one that is missing.
fn find<'a>(text: &str, anchors: &[&'a str]) -> Result<usize, &'a str> {
    let mut at = 0;
    for (index, anchor) in anchors.iter().enumerate() {
        let from = if index == 0 { 0 } else { next_line(text, at) };
        at = line_that_begins(text, from, anchor).ok_or(*anchor)?;
    }
    Ok(at)
}

/// Where the first line at or after `from` starts that begins with `anchor`.
fn line_that_begins(text: &str, from: usize, anchor: &str) -> Option<usize> {
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        if line.starts_with(anchor) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

/// The text as the workspace's rustfmt writes it, or what is wrong with it.
fn rustfmt(root: &Path, text: &str) -> std::io::Result<Result<String, String>> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).map_err(|error| error.to_string()))
    } else {
        Ok(Err(String::from_utf8_lossy(&output.stderr)
            .trim()
            .to_owned()))
    }
}

#[cfg(test)]
mod tests;
