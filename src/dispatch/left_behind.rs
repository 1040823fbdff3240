//! What killed processes left in a folder of ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How old it is before it is taken for that: whoever made it is done by then, or holds its
/// lock.
const AGE: Duration = Duration::from_hours(1);

/// All that is so old in this folder, which need not be there. Blocks.
pub(super) fn in_folder(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| {
        let age = path.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
        matches!(age, Ok(Ok(age)) if age > AGE)
    })
}
