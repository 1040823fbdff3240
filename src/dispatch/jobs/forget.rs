//! Forgetting what was over long ago.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::folder::Keeper;
use crate::dispatch::Dispatcher;
use crate::dispatch::left_behind;
use crate::dispatch::reply::Refusal;
use crate::lock::lock;
use crate::store::jobs;
use crate::store::journal::now_ms;

/// How often the jobs that are older than the config wants are looked for.
const FORGET_EVERY: Duration = Duration::from_hours(1);

impl Dispatcher {
    /// Forgets the jobs that were over so long ago, all that are over where that is not said,
    /// and says which they are; with `dry_run` it only says so.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the store cannot be read or changed.
    pub async fn gc_jobs(
        self: &Arc<Self>,
        older_than: Option<Duration>,
        dry_run: bool,
    ) -> Result<Vec<String>, Refusal> {
        let before = older_than.map_or(i64::MAX, |age| {
            now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
        });
        let over = self.read_jobs(move |connection| jobs::over_before(connection, before)).await?;
        let this = Arc::clone(self);
        let free = self.look_at_files(move || {
            let is_free = |id: &String| match this.jobs.folder(id).keeper() {
                Ok(keeper) => !matches!(keeper, Keeper::Alive(_)),
                Err(_) => false,
            };
            // One that was cancelled may still be on its way to its end.
            Ok(over.into_iter().filter(is_free).collect::<Vec<_>>())
        });
        let ids = free.await?;
        if dry_run {
            return Ok(ids);
        }
        if !ids.is_empty() {
            let forgotten = ids.clone();
            let forgetting = move |connection: &mut _| jobs::forget(connection, &forgotten);
            self.change_jobs(forgetting).await?;
        }
        self.remove_folders(ids.clone()).await?;
        Ok(ids)
    }

    /// Removes the folders of these jobs, and those that belong to none, or to one that is over.
    async fn remove_folders(self: &Arc<Self>, forgotten: Vec<String>) -> Result<(), Refusal> {
        let this = Arc::clone(self);
        let old = self.look_at_files(move || {
            for id in forgotten {
                this.jobs.folder(&id).remove()?;
            }
            let old = left_behind::in_folder(&this.jobs.folder);
            let id = |path: PathBuf| Some(path.file_name()?.to_str()?.to_owned());
            Ok(old.filter_map(id).collect::<Vec<_>>())
        });
        for id in old.await? {
            let job = self.read_job(&id).await?;
            if job.is_none_or(|(job, _)| job.status.is_final()) {
                let folder = self.jobs.folder(&id);
                let removing = move || {
                    // Where it is held somebody is just about to write it down.
                    if !matches!(folder.keeper()?, Keeper::Alive(_)) {
                        folder.remove()?;
                    }
                    Ok(())
                };
                self.look_at_files(removing).await?;
            }
        }
        Ok(())
    }

    /// Forgets now and then the jobs that are older than so many days; 0 are none. Nobody
    /// waits for it.
    pub(super) fn forget_old_jobs(self: &Arc<Self>, days: u32) {
        let mut forgot = lock(&self.jobs.forgot);
        let is_due = forgot.is_none_or(|last| last.elapsed() > FORGET_EVERY);
        if days == 0 || !is_due {
            return;
        }
        *forgot = Some(Instant::now());
        let (this, age) = (Arc::clone(self), Duration::from_hours(24 * u64::from(days)));
        tokio::spawn(async move {
            if let Err(refusal) = this.gc_jobs(Some(age), false).await {
                tracing::info!("old jobs are not forgotten: {refusal}");
            }
        });
    }
}
