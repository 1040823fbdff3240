//! Noticing that a file has changed without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// How old a change must be when a file is read before the file's times vouch for
/// what was read. Two changes within one tick of a file system's clock leave the
/// same times, and the second may come after the reading.
const SETTLED: Duration = Duration::from_secs(2);

/// What changes when a file changes, taken before the file was read.
#[derive(Debug, Clone)]
pub(crate) struct FileStamp {
    identity: Identity,
    settled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of a file that is read next.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self::at(metadata, SystemTime::now())
    }

    fn at(metadata: &Metadata, now: SystemTime) -> Self {
        let identity = Identity::of(metadata);
        let seconds = u64::try_from(identity.changed.0).unwrap_or_default();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // A change in the future is never old enough.
        let settled = now.duration_since(changed).is_ok_and(|age| age >= SETTLED);
        Self { identity, settled }
    }

    /// Is what was read then what would be read now? `false` means: read again.
    pub(crate) fn vouches_for(&self, now: &Metadata) -> bool {
        self.settled && self.is_same(now)
    }

    /// Was the last change old when this stamp was taken?
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Do the file's size and times say that it is the same?
    pub(crate) fn is_same(&self, now: &Metadata) -> bool {
        self.identity == Identity::of(now)
    }
}

/// How long ago a file was changed; none where that lies in the future.
pub(crate) fn age(metadata: &Metadata) -> Option<Duration> {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or_default();
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    SystemTime::now().duration_since(changed).ok()
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_vouches_only_if_the_last_change_was_old_when_it_was_taken() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let metadata = file.as_file().metadata().expect("its metadata");
        let soon = SystemTime::now();
        assert!(!FileStamp::at(&metadata, soon).vouches_for(&metadata));
        assert!(FileStamp::at(&metadata, soon + SETTLED * 2).vouches_for(&metadata));
        assert!(!FileStamp::at(&metadata, SystemTime::UNIX_EPOCH).vouches_for(&metadata));
    }

    #[test]
    fn a_changed_file_is_another() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let before = file.as_file().metadata().expect("its metadata");
        let stamp = FileStamp::at(&before, SystemTime::now() + SETTLED * 2);
        std::fs::write(file.path(), "more").expect("a writable file");
        assert!(!stamp.vouches_for(&file.as_file().metadata().expect("its metadata")));
    }
}
