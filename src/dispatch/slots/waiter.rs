//! One who waits for a slot, from the look that finds none to the one that does.

use std::io;
use std::sync::Arc;

use super::Class;
use super::folder::{Folder, Look};
use super::queue::{Place, Ticket, ahead};

/// Of each class there is one a process at a time.
pub(super) struct Waiter {
    folder: Arc<Folder>,
    class: Class,
    /// Only who has to wait has one.
    ticket: Option<Ticket>,
    /// A slot was free when it was looked for unasked, though others come before this one.
    was_free: bool,
}

impl Waiter {
    pub(super) fn new(folder: Arc<Folder>, class: Class) -> Self {
        Self { folder, class, ticket: None, was_free: false }
    }

    /// Looks for a slot. Blocks on the file system; to be called on a thread of the runtime.
    ///
    /// `unasked`: nothing has rung for long. Nobody is told that those before it in the queue
    /// were stopped (Ctrl-Z in a terminal), so a slot that is still free the second time is
    /// taken all the same.
    pub(super) fn look(&mut self, limit: usize, unasked: bool) -> io::Result<Look> {
        let mut look = self.look_once(limit, unasked)?;
        if self.ticket.is_none() && matches!(look, Look::Wait(_)) {
            self.ticket = Some(Ticket::take(self.folder.path(), self.class)?);
            // Who looked before the ticket was there knows nothing of it.
            look = self.look_once(limit, false)?;
        }
        if matches!(look, Look::Taken(_))
            && let Some(ticket) = self.ticket.take()
        {
            ticket.give_up();
        }
        Ok(look)
    }

    fn look_once(&mut self, limit: usize, unasked: bool) -> io::Result<Look> {
        let listed = self.folder.list()?;
        let place = self.ticket.as_ref().map(|ticket| ticket.place.clone());
        let place = place.unwrap_or_else(|| Place::now(self.class));
        let Some(before) = ahead(self.folder.path(), &listed.waiting, &place)? else {
            return self.folder.take(&listed, limit);
        };
        if unasked {
            let look = self.folder.take(&listed, limit)?;
            let is_free = matches!(look, Look::Taken(_));
            if std::mem::replace(&mut self.was_free, is_free) && is_free {
                return Ok(look);
            }
        }
        Ok(Look::Wait(vec![before]))
    }
}
