//! Readers with a stack of their own (PC/SC, OSDP): what they tell, whatever speaks to them.

use tokio::sync::mpsc;

use crate::plain::PlainBadge;

/// Events that wait to be fetched. A badge beyond is dropped and logged: nobody acts on a badge that waited so long.
pub(crate) const EVENTS: usize = 16;

/// What a reader tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// It is there, in words.
    Up(String),
    /// It is not, and why, in words.
    Down(String),
    /// A badge was shown.
    Badge(PlainBadge),
}

/// Tells without waiting. Whether somebody still listens.
pub(crate) fn tell(events: &mpsc::Sender<ReaderEvent>, event: ReaderEvent) -> bool {
    match events.try_send(event) {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Full(_)) => {
            tracing::warn!("a reader's event was dropped, because earlier ones are not worked off");
            true
        }
        Err(mpsc::error::TrySendError::Closed(_)) => false,
    }
}
