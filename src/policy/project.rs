//! The view of one project directory: all that a describe policy sees of the world.
//!
//! Paths are resolved by the kernel below the directory, so that neither `..` nor a
//! symbolic link leads out of it, also while somebody changes what is looked at. What
//! is no file is never opened, and how much a call reads and lists is bounded.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, OpenOptions, OpenOptionsExt};
use wasmtime::component::Resource;

use super::bindings::describe::agent_dispatch::policy::project_view;
use super::bindings::describe::agent_dispatch::policy::project_view::{
    Entry, EntryKind, Excerpt, ViewError,
};
use super::limits;
use super::state::State;
use super::text::{SAID, shown};

/// Longest path that is looked at, in bytes: the kernel's own limit.
const PATH_BYTES: usize = 4096;

/// One directory, and what a call may still read of it.
#[expect(unreachable_pub, reason = "the generated code re-exports it within this room")]
pub struct View {
    root: Dir,
    name: String,
    bytes_left: usize,
    entries_left: usize,
}

impl View {
    /// A view of this directory. Blocks on the file system.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(directory, ambient_authority())?;
        // `..` and links in the path are resolved: the name is the directory's own.
        let full = directory.canonicalize()?;
        let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (bytes_left, entries_left) = (limits::PROJECT_BYTES, limits::PROJECT_ENTRIES);
        Ok(Self { root, name, bytes_left, entries_left })
    }

    fn look(&self, path: &str) -> Result<Entry, ViewError> {
        let path = inside(path)?;
        let metadata = self.root.metadata(path).map_err(refused)?;
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        Ok(entry(name.into_owned(), &metadata))
    }

    fn read(&mut self, path: &str, max_bytes: u32) -> Result<Excerpt, ViewError> {
        let path = inside(path)?;
        // Looked at first: opening a device or a FIFO can already do something.
        if !self.root.metadata(path).map_err(refused)?.is_file() {
            return Err(ViewError::WrongKind);
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let file = self.root.open_with(path, &options).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(ViewError::WrongKind);
        }
        if self.bytes_left == 0 {
            let limit = limits::PROJECT_BYTES >> 20;
            return Err(ViewError::Limit(format!("a call reads {limit} MiB of a project")));
        }
        let wanted = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let most = wanted.min(limits::PROJECT_FILE_BYTES).min(self.bytes_left);
        let mut bytes = Vec::new();
        // One more byte tells whether that is all.
        file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
        let complete = bytes.len() <= most;
        bytes.truncate(most);
        self.bytes_left -= bytes.len();
        let size = metadata.len().max(bytes.len() as u64);
        let (text, utf8) = text(bytes, complete);
        Ok(Excerpt { text, size, complete, utf8 })
    }

    fn entries(&mut self, path: &str) -> Result<Vec<Entry>, ViewError> {
        let path = inside(path)?;
        if !self.root.metadata(path).map_err(refused)?.is_dir() {
            return Err(ViewError::WrongKind);
        }
        let directory = self.root.open_dir(path).map_err(refused)?;
        let mut entries = Vec::new();
        for found in directory.entries().map_err(refused)? {
            if self.entries_left == 0 {
                let limit = limits::PROJECT_ENTRIES;
                return Err(ViewError::Limit(format!("a call lists {limit} entries")));
            }
            self.entries_left -= 1;
            // No path of the interface names what is not UTF-8.
            let Ok(name) = found.map_err(refused)?.file_name().into_string() else { continue };
            // From the root: a link may lead to another part of the project.
            entries.push(match self.root.metadata(Path::new(path).join(&name)) {
                Ok(metadata) => entry(name, &metadata),
                // A link that leads out of the project or nowhere.
                Err(_) => Entry { name, kind: EntryKind::Other, size: 0 },
            });
        }
        entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}

/// A path as the directory takes it, unless it says itself that it leads elsewhere.
fn inside(path: &str) -> Result<&str, ViewError> {
    let leaves = path.starts_with('/') || path.split('/').any(|part| part == "..");
    if leaves || path.contains('\0') || path.len() > PATH_BYTES {
        return Err(ViewError::Outside);
    }
    Ok(if path.is_empty() { "." } else { path })
}

fn entry(name: String, metadata: &Metadata) -> Entry {
    let kind = kind(metadata.file_type());
    let size = if matches!(kind, EntryKind::File) { metadata.len() } else { 0 };
    Entry { name, kind, size }
}

fn kind(file_type: FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else {
        EntryKind::Other
    }
}

/// Bytes as text, and whether all of them were. A character that was cut in two at the
/// end of an excerpt is left out.
fn text(mut bytes: Vec<u8>, complete: bool) -> (String, bool) {
    if !complete
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    }
}

fn refused(error: io::Error) -> ViewError {
    match error.kind() {
        // The second: a file where the path has a directory.
        ErrorKind::NotFound | ErrorKind::NotADirectory => ViewError::NotFound,
        // cap-std's own, not the kernel's: the path leads out.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => ViewError::Outside,
        _ => ViewError::Unreadable(shown(&error.to_string(), SAID)),
    }
}

impl State {
    /// The guest has a handle only while there is a view, and only of this one.
    fn view(&mut self) -> wasmtime::Result<&mut View> {
        self.project.as_mut().ok_or_else(|| wasmtime::Error::msg("there is no project"))
    }
}

impl project_view::Host for State {}

impl project_view::HostProject for State {
    fn name(&mut self, _: Resource<View>) -> wasmtime::Result<String> {
        Ok(self.view()?.name.clone())
    }

    fn look(
        &mut self,
        _: Resource<View>,
        path: String,
    ) -> wasmtime::Result<Result<Entry, ViewError>> {
        Ok(self.view()?.look(&path))
    }

    fn read(
        &mut self,
        _: Resource<View>,
        path: String,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<Excerpt, ViewError>> {
        Ok(self.view()?.read(&path, max_bytes))
    }

    fn entries(
        &mut self,
        _: Resource<View>,
        path: String,
    ) -> wasmtime::Result<Result<Vec<Entry>, ViewError>> {
        Ok(self.view()?.entries(&path))
    }

    fn drop(&mut self, _: Resource<View>) -> wasmtime::Result<()> {
        Ok(())
    }
}
