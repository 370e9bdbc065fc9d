//! Looks after the members that have a check: as soon as one is On, until it is ready, and slowly after that.

use std::sync::Arc;
use std::time::Duration;

use primrack_model::{Ready, TargetIx};

use super::ready;
use crate::Engine;

/// From one look to the next while it is not ready: from short to long.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// While it is ready; one look that fails is looked after again soon, two are the end of it.
const CALM: Duration = Duration::from_secs(15);

impl Engine {
    /// Begins to look after every member that has a check. Each look costs nothing while the member is not On.
    /// Whoever was looked after before is so no more: members may be others.
    pub(crate) fn keep_ready(self: &Arc<Self>) {
        let stop = self.stop.child_token();
        std::mem::replace(&mut *self.keeping.lock(), stop.clone()).cancel();
        let inventory = self.book.inventory();
        for (ix, group) in inventory.groups() {
            for member in group.members.iter().filter(|member| member.ready != Ready::On) {
                let looking = Arc::clone(self).look_after(ix, member.target, member.ready.clone());
                let stop = stop.clone();
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(looking).await;
                });
            }
        }
    }

    async fn look_after(self: Arc<Self>, group: TargetIx, member: TargetIx, ready: Ready) {
        let mut nudged = self.book.nudged(group);
        let (mut was, mut pause, mut missed) = (None, FIRST, false);
        loop {
            nudged.mark_unchanged();
            let life = self.book.life(group, member);
            if life != was {
                (was, pause, missed) = (life, FIRST, false);
            }
            let Some(now) = life else {
                if nudged.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let found = ready::look(&ready).await;
            let known = self.book.is_ready(group, member).is_ok();
            let calm = match (&found, known) {
                (Ok(()), _) => {
                    missed = false;
                    CALM
                }
                // Once is no proof that it serves no more.
                (Err(_), true) if !missed => {
                    missed = true;
                    FIRST
                }
                (Err(_), _) => {
                    pause = (pause * 2).min(LONGEST);
                    pause
                }
            };
            if !(missed && known && calm == FIRST) {
                self.book.found_ready(group, member, now, found);
            }
            let left = async {
                loop {
                    nudged.mark_unchanged();
                    if self.book.life(group, member) != life || nudged.changed().await.is_err() {
                        return;
                    }
                }
            };
            // Whichever comes first is followed by a look.
            let _by_time = tokio::time::timeout(calm, left).await;
        }
    }
}
