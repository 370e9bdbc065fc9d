//! Where a driver's news goes.

use primrack_model::{Address, BackendId, Observation};

use crate::Found;

/// Takes what a driver learns. Implemented by the engine; none of its functions may block.
///
/// The calls of one driver come one after the other, from one task: for one address, what came later
/// is newer.
pub trait Sink: Send + Sync + 'static {
    /// A machine said this of itself just now.
    fn observed(&self, backend: &BackendId, address: &Address, seen: Observation);
    /// Nobody can say any more: one machine did not answer, or (`None`) the whole backend or its event
    /// stream is lost. What was known is stale until [`Self::observed`] comes again.
    fn silent(&self, backend: &BackendId, address: Option<&Address>, why: &str);
    /// Everything the backend has, after each listing. What is watched is looked at right after.
    fn found(&self, backend: &BackendId, found: &[Found]);
}
