//! Groups of targets: what is acted on together, in which order, and when a member counts as ready.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{TargetId, TargetIx, TargetKind};

/// The backend that groups are at: no adapter is behind it, and no configured backend may have its name.
pub const GROUPS: &str = "groups";
/// Members of one group.
pub const MAX_MEMBERS: usize = 256;
/// Groups within groups within groups: no deeper than this.
pub const MAX_DEPTH: usize = 8;

/// What happens to the rest when one member fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// What has not begun is left as it is.
    #[default]
    Stop,
    /// Only what depends on the failed one is left as it is.
    Continue,
}

/// When a member that is On counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// At once: its adapter's On, which may be a guest agent's or a log line's, is enough.
    #[default]
    On,
    /// When a connection to `host:port` is taken.
    Tcp(SmolStr),
    /// When a GET of this `http://` address is answered with a status from 200 to 399.
    Http(SmolStr),
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("its own word"),
            Self::Tcp(at) => write!(f, "TCP {at}"),
            Self::Http(at) => f.write_str(at),
        }
    }
}

/// A member as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    /// Which target.
    pub target: TargetId,
    /// The members of the same group that have to be On and ready before it is started.
    pub after: Vec<TargetId>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long that may take from its On, in milliseconds.
    pub ready_within_ms: u64,
}

/// A group as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    /// The target that stands for all of them.
    pub target: TargetId,
    /// Who belongs to it.
    pub members: Vec<MemberPlan>,
    /// How many are acted on at once.
    pub parallel: usize,
    /// What happens to the rest when one fails.
    pub on_failure: OnFailure,
}

/// A member, by places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which target.
    pub target: TargetIx,
    /// The places in [`Group::members`] of those that have to be On and ready before.
    pub after: Vec<usize>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long that may take from its On, in milliseconds.
    pub ready_within_ms: u64,
}

/// A group: its order has no rings, and no group is within itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Who belongs to it.
    pub members: Vec<Member>,
    /// How many are acted on at once; at least 1.
    pub parallel: usize,
    /// What happens to the rest when one fails.
    pub on_failure: OnFailure,
}

/// A contradiction in a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group {group}: {what}")]
pub struct GroupError {
    /// Which group.
    pub group: TargetId,
    /// The member that it is about, where it is about one.
    pub member: Option<TargetId>,
    /// What is wrong.
    pub what: GroupMistake,
}

/// What can be wrong with a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupMistake {
    /// The target is no group, or is not there.
    #[error("there is no target of kind group that is called so")]
    NotAGroup,
    /// Nobody belongs to it.
    #[error("it has no members: name at least one")]
    Empty,
    /// More than [`MAX_MEMBERS`].
    #[error("it has {0} members, and at most {MAX_MEMBERS} are acted on together: make groups of groups")]
    TooMany(usize),
    /// `parallel = 0`.
    #[error("parallel is 0, so nothing would ever be begun: write at least 1")]
    NoneAtOnce,
    /// A member that is no target.
    #[error("member {0} is no target")]
    Unknown(TargetId),
    /// A member twice.
    #[error("member {0} is named twice")]
    Twice(TargetId),
    /// An alarm.
    #[error(
        "member {0} is an alarm: an alarm is acknowledged by itself, not started and stopped with others"
    )]
    Alarm(TargetId),
    /// A dependency on what is no member.
    #[error("{member} comes after {after}, which is no member of the group")]
    AfterUnknown {
        /// Who depends.
        member: TargetId,
        /// On what.
        after: TargetId,
    },
    /// Members that wait for each other.
    #[error("its members wait for each other: {}", chain(.0, "after"))]
    Ring(Vec<TargetId>),
    /// Groups that contain each other.
    #[error("it contains itself: {}", chain(.0, "contains"))]
    Within(Vec<TargetId>),
    /// Too many levels.
    #[error("its groups within groups are more than {MAX_DEPTH} levels deep")]
    Deep,
}

fn chain(ring: &[TargetId], word: &str) -> String {
    let names: Vec<&str> = ring.iter().chain(ring.first()).map(TargetId::as_str).collect();
    names.join(&format!(" {word} "))
}

/// Turns names into places. `find` knows the targets.
pub(crate) fn resolve(
    plan: &GroupPlan,
    find: impl Fn(&TargetId) -> Option<(TargetIx, TargetKind)>,
) -> Result<(TargetIx, Group), Vec<GroupError>> {
    let GroupPlan { target, members, parallel, on_failure } = plan;
    let mut wrong = Vec::new();
    let mut is_wrong = |member: Option<&TargetId>, what| {
        wrong.push(GroupError { group: target.clone(), member: member.cloned(), what });
    };
    let own = find(target).filter(|(_, kind)| *kind == TargetKind::Group);
    if own.is_none() {
        is_wrong(None, GroupMistake::NotAGroup);
    }
    if members.is_empty() {
        is_wrong(None, GroupMistake::Empty);
    }
    if members.len() > MAX_MEMBERS {
        is_wrong(None, GroupMistake::TooMany(members.len()));
    }
    if *parallel == 0 {
        is_wrong(None, GroupMistake::NoneAtOnce);
    }
    let place = |name: &TargetId| members.iter().position(|member| member.target == *name);
    let mut resolved = Vec::with_capacity(members.len());
    for (at, member) in members.iter().enumerate() {
        let name = &member.target;
        let found = match find(name) {
            None => Err(GroupMistake::Unknown(name.clone())),
            Some(_) if place(name) != Some(at) => Err(GroupMistake::Twice(name.clone())),
            Some((_, TargetKind::Alarm)) => Err(GroupMistake::Alarm(name.clone())),
            Some((ix, _)) => Ok(ix),
        };
        let mut after = Vec::with_capacity(member.after.len());
        for before in &member.after {
            match place(before) {
                None => is_wrong(
                    Some(name),
                    GroupMistake::AfterUnknown { member: name.clone(), after: before.clone() },
                ),
                Some(place) if !after.contains(&place) => after.push(place),
                Some(_) => {}
            }
        }
        match found {
            Err(what) => is_wrong(Some(name), what),
            Ok(ix) => resolved.push(Member {
                target: ix,
                after,
                ready: member.ready.clone(),
                ready_within_ms: member.ready_within_ms,
            }),
        }
    }
    if resolved.len() == members.len()
        && let Some(ring) = ring(resolved.len(), |at| resolved[at].after.clone())
    {
        let names: Vec<TargetId> = ring.into_iter().map(|at| members[at].target.clone()).collect();
        is_wrong(names.first(), GroupMistake::Ring(names.clone()));
    }
    match own {
        Some((own, _)) if wrong.is_empty() => {
            Ok((own, Group { members: resolved, parallel: *parallel, on_failure: *on_failure }))
        }
        _ => Err(wrong),
    }
}

/// A ring in a graph of `count` nodes, each node once, if there is one. Without recursion.
pub(crate) fn ring(count: usize, next: impl Fn(usize) -> Vec<usize>) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::No; count];
    for start in 0..count {
        if seen[start] != Seen::No {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        let mut way = vec![(start, next(start))];
        while let Some((at, rest)) = way.last_mut() {
            let Some(to) = rest.pop() else {
                seen[*at] = Seen::Done;
                way.pop();
                continue;
            };
            match seen[to] {
                Seen::Done => {}
                Seen::OnTheWay => {
                    return Some(way.iter().map(|(at, _)| *at).skip_while(|at| *at != to).collect());
                }
                Seen::No => {
                    seen[to] = Seen::OnTheWay;
                    way.push((to, next(to)));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_named_in_the_order_of_its_links_and_a_diamond_is_none() {
        let edges: [&[usize]; 5] = [&[1], &[2], &[3], &[1], &[]];
        let found = ring(5, |at| edges[at].to_vec()).unwrap();
        assert_eq!(found.len(), 3);
        for (at, to) in found.iter().zip(found.iter().skip(1).chain(found.first())) {
            assert!(edges[*at].contains(to), "{found:?}");
        }
        let diamond: [&[usize]; 4] = [&[1, 2], &[3], &[3], &[]];
        assert_eq!(ring(4, |at| diamond[at].to_vec()), None);
        assert_eq!(ring(1, |_| vec![0]), Some(vec![0]));
    }
}
