//! Files of ours that several processes share, and no other user.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder and those above it, for this user alone where they are new.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file to be read and written, as it is or new.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Is this file the one with this name? What was locked may by then have another name,
/// or none.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let identity = |data: Metadata| (data.dev(), data.ino());
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

/// Puts a file with this content in its place in one step, for this user alone. It is on the
/// disk when this returns.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Gone again where anything fails.
    let mut next = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    next.write_all(content)?;
    next.as_file().sync_all()?;
    next.persist(path)?;
    // The change is made; a folder that cannot be synced takes nothing of it back.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
