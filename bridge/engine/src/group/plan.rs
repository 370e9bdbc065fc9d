//! The order in which the members of a group are acted on: pure, without clock or I/O.
//!
//! ```text
//! Waiting ─ all it waits for are Done, a place is free ─▶ UnderWay ─▶ Done
//!    └─ something failed ─▶ left as it is                    └─▶ Failed
//! ```

use primrack_model::{Action, Group, OnFailure};

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not begun.
    Waiting,
    /// Being acted on.
    UnderWay,
    /// There, and ready where that was asked for.
    Done,
    /// It did not work.
    Failed,
}

/// One run over all members of a group.
#[derive(Debug)]
pub(crate) struct Run {
    /// For each member, what has to be done before.
    before: Vec<Vec<usize>>,
    steps: Vec<Step>,
    parallel: usize,
    on_failure: OnFailure,
    halted: bool,
}

/// For each member, what has to be done before: its dependencies when things come up, those that depend on
/// it when they go down.
fn before(group: &Group, action: Action) -> Vec<Vec<usize>> {
    let after = group.members.iter().map(|member| member.after.clone());
    if action == Action::Start {
        return after.collect();
    }
    let mut before = vec![Vec::new(); group.members.len()];
    for (member, after) in after.enumerate() {
        for dependency in after {
            before[dependency].push(member);
        }
    }
    before
}

/// The members by stage: each comes as early as what it waits for allows.
pub(crate) fn stages(group: &Group, action: Action) -> Vec<Vec<usize>> {
    let before = before(group, action);
    let mut stage: Vec<Option<usize>> = vec![None; before.len()];
    let mut stages: Vec<Vec<usize>> = Vec::new();
    // Each round places at least one, since there are no rings.
    for round in 0..before.len() {
        let now: Vec<usize> = (0..before.len())
            .filter(|at| stage[*at].is_none())
            .filter(|at| before[*at].iter().all(|before| stage[*before].is_some_and(|s| s < round)))
            .collect();
        if now.is_empty() {
            break;
        }
        for at in &now {
            stage[*at] = Some(round);
        }
        stages.push(now);
    }
    stages
}

impl Run {
    pub(crate) fn new(group: &Group, action: Action) -> Self {
        Self {
            before: before(group, action),
            steps: vec![Step::Waiting; group.members.len()],
            parallel: group.parallel.max(1),
            on_failure: group.on_failure,
            halted: false,
        }
    }
    /// What is to be begun now: those whose turn it is, as far as there are places, in the order of the
    /// configuration. They count as under way from here.
    pub(crate) fn next(&mut self) -> Vec<usize> {
        let mut begun = Vec::new();
        if self.halted {
            return begun;
        }
        let mut free = self.parallel.saturating_sub(self.under_way().count());
        for at in 0..self.steps.len() {
            if free == 0 {
                break;
            }
            let turn = self.before[at].iter().all(|before| self.steps[*before] == Step::Done);
            if self.steps[at] == Step::Waiting && turn {
                self.steps[at] = Step::UnderWay;
                begun.push(at);
                free -= 1;
            }
        }
        begun
    }
    /// A member that was under way has ended.
    pub(crate) fn ended(&mut self, at: usize, well: bool) {
        self.steps[at] = if well { Step::Done } else { Step::Failed };
        self.halted |= !well && self.on_failure == OnFailure::Stop;
    }
    fn those(&self, step: Step) -> impl Iterator<Item = usize> {
        self.steps.iter().enumerate().filter(move |(_, is)| **is == step).map(|(at, _)| at)
    }
    pub(crate) fn under_way(&self) -> impl Iterator<Item = usize> {
        self.those(Step::UnderWay)
    }
    pub(crate) fn done(&self) -> usize {
        self.those(Step::Done).count()
    }
    /// What was not begun.
    pub(crate) fn left(&self) -> impl Iterator<Item = usize> {
        self.those(Step::Waiting)
    }
    /// How many have been begun, ended ones included.
    pub(crate) fn begun(&self) -> usize {
        self.steps.len() - self.left().count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use primrack_model::{Member, Ready, TargetIx};
    use proptest::prelude::*;

    use super::*;

    fn group(after: Vec<Vec<usize>>, parallel: usize, on_failure: OnFailure) -> Group {
        let members = after.into_iter().enumerate().map(|(at, after)| Member {
            target: TargetIx(u32::try_from(at).unwrap()),
            after,
            ready: Ready::On,
            ready_within_ms: 1,
        });
        Group { members: members.collect(), parallel, on_failure }
    }

    #[test]
    fn a_shop_comes_up_from_its_database_and_goes_down_from_its_balancer() {
        let shop = group(vec![vec![], vec![0], vec![0], vec![1, 2]], 4, OnFailure::Stop);
        assert_eq!(stages(&shop, Action::Start), [vec![0], vec![1, 2], vec![3]]);
        assert_eq!(stages(&shop, Action::SoftOff), [vec![3], vec![1, 2], vec![0]]);
        let mut run = Run::new(&shop, Action::Start);
        assert_eq!(run.next(), [0]);
        assert_eq!(run.next(), [0; 0]);
        run.ended(0, true);
        assert_eq!(run.next(), [1, 2]);
        run.ended(1, false);
        assert_eq!(run.next(), [0; 0]);
        run.ended(2, true);
        assert_eq!(run.next(), [0; 0]);
        assert_eq!((run.done(), run.begun(), run.left().collect::<Vec<_>>()), (2, 3, vec![3]));
    }

    #[test]
    fn with_continue_only_what_depends_on_the_failed_one_is_left() {
        let shop = group(vec![vec![], vec![0], vec![], vec![2]], 1, OnFailure::Continue);
        let mut run = Run::new(&shop, Action::Start);
        let mut order = Vec::new();
        while let [at] = run.next()[..] {
            order.push(at);
            run.ended(at, at != 0);
        }
        assert_eq!(order, [0, 2, 3]);
        assert_eq!(run.left().collect::<Vec<_>>(), [1]);
    }

    /// A random graph without rings: each depends only on earlier ones, then all are renumbered.
    fn graphs() -> impl Strategy<Value = (Vec<Vec<usize>>, usize, bool, bool)> {
        (1usize..24).prop_flat_map(|count| {
            let edges = proptest::collection::vec(proptest::collection::vec(any::<bool>(), count), count);
            let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
            (edges, order, 1usize..6, any::<bool>(), any::<bool>()).prop_map(
                |(edges, order, parallel, start, go_on)| {
                    let mut after = vec![Vec::new(); edges.len()];
                    for (at, row) in edges.iter().enumerate() {
                        after[order[at]] = (0..at).filter(|to| row[*to]).map(|to| order[to]).collect();
                    }
                    (after, parallel, start, go_on)
                },
            )
        })
    }

    proptest! {
        #[test]
        fn never_before_its_dependency_never_too_many_and_always_an_end(
            (after, parallel, start, go_on) in graphs(),
            fates in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 24),
        ) {
            let count = after.len();
            let on_failure = if go_on { OnFailure::Continue } else { OnFailure::Stop };
            let group = group(after, parallel, on_failure);
            let action = if start { Action::Start } else { Action::SoftOff };
            let before = before(&group, action);
            let staged: Vec<usize> = stages(&group, action).concat();
            prop_assert_eq!(staged.iter().copied().collect::<BTreeSet<_>>().len(), count);
            let mut run = Run::new(&group, action);
            let (mut under_way, mut done, mut begun) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
            let mut failed = false;
            let mut fates = fates.into_iter();
            loop {
                let next = run.next();
                prop_assert!(!failed || go_on || next.is_empty(), "begun after a failure");
                for at in next {
                    prop_assert!(begun.insert(at), "begun twice");
                    prop_assert!(before[at].iter().all(|before| done.contains(before)), "too early");
                    under_way.push(at);
                }
                prop_assert!(under_way.len() <= parallel, "too many at once");
                if under_way.is_empty() {
                    break;
                }
                let (which, fate) = fates.next().expect("each member ends once");
                let at = under_way.swap_remove(which.index(under_way.len()));
                let well = fate != 0;
                failed |= !well;
                run.ended(at, well);
                if well {
                    done.insert(at);
                }
            }
            prop_assert_eq!(run.begun(), begun.len());
            if !failed {
                prop_assert_eq!(done.len(), count);
            } else if go_on {
                // Whatever was left waits, directly or not, for something that failed.
                for at in run.left() {
                    prop_assert!(before[at].iter().any(|before| !done.contains(before)));
                }
            }
        }
    }
}
