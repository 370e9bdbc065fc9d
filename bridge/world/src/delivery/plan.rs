//! Who may be posted to next. No I/O and no clock: every call is told the time in milliseconds.
//!
//! An object waits in the wheel for its time, then in its host's list for a free place. Hosts with
//! work and room stand in a ring and take turns. Everything is bounded by the number of objects
//! and hosts; nothing is allocated per push.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::callback::{Origin, OriginKey};
use super::host::{Host, Pick, UNROUTED};
use super::settings::DeliverySettings;
use super::slots::{NEVER, NIL, Phase, Slot, Wait};
use super::status::Counters;
use super::wheel::Wheel;

/// Parts of one state sent back to back before the object's interval applies again.
const MAX_RUN: u8 = 32;
/// Shortest retry delay, so that a jitter of zero does not mean a spin.
const MIN_RETRY_MS: u64 = 50;
/// Pace groups remembered before those without debt are dropped.
const PACE_GROUPS: usize = 4096;
/// Set in the number of a pace group that is a host's.
const HOST_GROUP: u64 = 1 << 32;
/// Pause of all dispatch when the process has run out of descriptors.
const DESCRIPTOR_PAUSE_MS: u64 = 250;

/// One object handed to a worker.
#[derive(Debug)]
pub(super) struct Job<L> {
    pub(super) object: u32,
    pub(super) host: u32,
    /// Counted against the posts this machine works on at once.
    quick: bool,
    /// Counted against the host's slow posts.
    slow: bool,
    suspect: bool,
    /// Asks a host whose breaker is open.
    probe: bool,
    /// When it was picked, in ms.
    pub(super) started: u64,
    before: (u64, u8),
    pub(super) line: Option<L>,
}

/// How a job ended, for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Nothing was dirty.
    Nothing,
    Delivered {
        more: bool,
    },
    Retry {
        after: Option<Duration>,
    },
    Dead,
    /// Not the object's fault: as soon as there is room.
    Again,
}

/// How a job ended, for the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered, whatever it said.
    Alive,
    /// It could not be connected to.
    Down,
    /// Connected, but no usable answer.
    Silent,
    /// Says nothing about the host.
    Neutral,
}

#[derive(Debug)]
pub(super) struct Plan<L> {
    settings: DeliverySettings,
    slots: Vec<Slot>,
    wheel: Wheel,
    hosts: Vec<Host<L>>,
    by_key: HashMap<OriginKey, u32>,
    free_hosts: Vec<u32>,
    ring: VecDeque<u32>,
    breakers: BinaryHeap<Reverse<(u64, u32)>>,
    /// Per pace group the time, in µs, at which its next token is due (GCRA).
    pace: HashMap<u64, u64>,
    prune_pace_at: usize,
    quick: u32,
    total: u32,
    suspects_out: u32,
    /// Workers between two jobs.
    hunters: u32,
    lines: usize,
    evict_cursor: usize,
    paused_until: u64,
    stopped: bool,
    /// When the pulse will look next.
    armed: u64,
    pub(super) ring_bell: bool,
    /// Connections to close once the lock is released.
    pub(super) graveyard: Vec<L>,
    due: Vec<u32>,
    pub(super) counters: Counters,
    random: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

impl<L> Plan<L> {
    pub(super) fn new(settings: DeliverySettings, seed: u64) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            wheel: Wheel::new(),
            hosts: vec![Host::new(None)],
            by_key: HashMap::new(),
            free_hosts: Vec::new(),
            ring: VecDeque::new(),
            breakers: BinaryHeap::new(),
            pace: HashMap::new(),
            prune_pace_at: PACE_GROUPS,
            quick: 0,
            total: 0,
            suspects_out: 0,
            hunters: 0,
            lines: 0,
            evict_cursor: 0,
            paused_until: 0,
            stopped: false,
            armed: NEVER,
            ring_bell: false,
            graveyard: Vec::new(),
            due: Vec::new(),
            counters: Counters::default(),
            random: seed,
        }
    }

    // ---- what the registry says ----

    /// The object's state changed.
    pub(super) fn wake(&mut self, now: u64, ix: u32, at_once: bool) {
        if self.stopped || !self.known(ix) {
            return;
        }
        self.counters.wakes += 1;
        let slot = &mut self.slots[ix as usize];
        match slot.phase {
            Phase::Dead => self.counters.ignored += 1,
            Phase::InFlight => {
                slot.woken = true;
                slot.last_wake = now;
                self.counters.coalesced += 1;
            }
            Phase::Ready | Phase::Waiting(Wait::Backoff | Wait::Pace) => self.counters.coalesced += 1,
            Phase::Waiting(Wait::Change) => {
                slot.last_wake = now;
                self.counters.coalesced += 1;
                if at_once && self.change_due(now, ix, 0) <= now {
                    self.wheel.remove(&mut self.slots, ix);
                    self.make_ready(now, ix, false);
                }
            }
            Phase::Vacant | Phase::Idle => {
                slot.last_wake = now;
                let linger = if at_once { 0 } else { self.settings.linger_ms };
                self.schedule_change(now, ix, linger);
            }
        }
    }

    /// The object registered, now or again: whatever was held against it is forgotten.
    pub(super) fn resume(&mut self, now: u64, ix: u32, origin: &Arc<Origin>, pace: [u32; 2]) {
        if self.stopped || !self.known(ix) {
            return;
        }
        self.counters.resumed += 1;
        self.unlist(ix);
        let Some(host) = self.host_for(origin) else {
            // No room for another host: found again, and counted, when it is composed.
            self.set_host(ix, NIL);
            self.start_over(now, ix, pace);
            return;
        };
        self.set_host(ix, host);
        self.start_over(now, ix, pace);
    }

    fn start_over(&mut self, now: u64, ix: u32, pace: [u32; 2]) {
        let slot = &mut self.slots[ix as usize];
        let in_flight = slot.phase == Phase::InFlight;
        *slot = Slot {
            host: slot.host,
            pace,
            last_wake: now,
            phase: if in_flight { Phase::InFlight } else { Phase::Idle },
            resumed: in_flight,
            ..Slot::VACANT
        };
        if !in_flight {
            self.schedule_change(now, ix, self.settings.linger_ms);
        }
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, ix: u32) {
        let Some(slot) = self.slots.get(ix as usize) else { return };
        let in_flight = slot.phase == Phase::InFlight;
        self.unlist(ix);
        self.set_host(ix, NIL);
        let phase = if in_flight { Phase::InFlight } else { Phase::Vacant };
        self.slots[ix as usize] = Slot { phase, forgotten: in_flight, ..Slot::VACANT };
    }

    pub(super) fn is_in_flight(&self, ix: u32) -> bool {
        self.slots.get(ix as usize).is_some_and(|slot| slot.phase == Phase::InFlight)
    }

    /// Whether what is in flight for `ix` concerns an older registration.
    pub(super) fn is_superseded(&self, ix: u32) -> bool {
        self.slots.get(ix as usize).is_some_and(|slot| slot.resumed || slot.forgotten)
    }

    /// Grows the table up to the limit; false when `ix` is beyond it.
    fn known(&mut self, ix: u32) -> bool {
        if ix >= self.settings.max_objects {
            self.counters.out_of_range += 1;
            return false;
        }
        if self.slots.len() <= ix as usize {
            self.slots.resize(ix as usize + 1, Slot::VACANT);
        }
        true
    }

    fn unlist(&mut self, ix: u32) {
        let slot = &self.slots[ix as usize];
        match slot.phase {
            Phase::Waiting(_) => self.wheel.remove(&mut self.slots, ix),
            Phase::Ready => {
                let (host, suspects) = (slot.host, slot.in_suspects);
                let host = &mut self.hosts[if host == NIL { UNROUTED } else { host } as usize];
                let list = if suspects { &mut host.suspects } else { &mut host.ready };
                list.remove(&mut self.slots, ix);
            }
            Phase::Vacant | Phase::Idle | Phase::InFlight | Phase::Dead => return,
        }
        self.slots[ix as usize].phase = Phase::Idle;
    }

    // ---- time ----

    /// When a changed object may be pushed: at once after quiet, else when its interval is over or
    /// it has held still for a moment.
    fn change_due(&self, now: u64, ix: u32, linger: u64) -> u64 {
        let slot = &self.slots[ix as usize];
        if slot.last_push == NEVER {
            return now + linger;
        }
        let interval = |stage: u8| {
            let grown = self.settings.min_interval_ms.saturating_mul(3u64.saturating_pow(stage.into()));
            slot.last_push + grown.min(self.settings.max_interval_ms)
        };
        let still = (slot.last_wake + self.settings.quiet_ms).max(interval(slot.stage.min(1)));
        interval(slot.stage).min(still).max(now + linger)
    }

    fn schedule_change(&mut self, now: u64, ix: u32, linger: u64) {
        let due = self.change_due(now, ix, linger);
        if due <= now { self.make_ready(now, ix, false) } else { self.wait(ix, Wait::Change, due) }
    }

    fn wait(&mut self, ix: u32, wait: Wait, due: u64) {
        self.slots[ix as usize].phase = Phase::Waiting(wait);
        let due = self.wheel.insert(&mut self.slots, ix, due);
        self.ring_bell |= due < self.armed;
    }

    /// Moves what is due into the hosts' lists and says when to come again.
    pub(super) fn advance(&mut self, now: u64) -> u64 {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(&mut self.slots, now, &mut due);
        for ix in due.drain(..) {
            match self.slots[ix as usize].phase {
                Phase::Waiting(Wait::Change) => {
                    // Linger is over; only an interval can still hold it back.
                    let later = self.change_due(now, ix, 0);
                    if later > now {
                        self.wait(ix, Wait::Change, later);
                    } else {
                        self.make_ready(now, ix, false);
                    }
                }
                Phase::Waiting(Wait::Backoff) => self.make_ready(now, ix, false),
                Phase::Waiting(Wait::Pace) => self.make_ready(now, ix, true),
                Phase::Vacant | Phase::Idle | Phase::Ready | Phase::InFlight | Phase::Dead => {}
            }
        }
        self.due = due;
        while let Some(Reverse((until, host))) = self.breakers.peek().copied() {
            if until > now {
                break;
            }
            self.breakers.pop();
            self.offer(now, host);
        }
        if self.paused_until != 0 && self.paused_until <= now {
            self.paused_until = 0;
        }
        let mut next = self.wheel.next_due();
        if let Some(Reverse((until, _))) = self.breakers.peek() {
            next = next.min(*until);
        }
        if self.paused_until != 0 {
            next = next.min(self.paused_until);
        }
        self.armed = next;
        self.ring_bell = false;
        next
    }

    /// Pays the pace groups and queues the object at its host.
    fn make_ready(&mut self, now: u64, ix: u32, paid: bool) {
        if !paid && let Some(due) = self.pay(now, ix) {
            self.counters.paced += 1;
            self.wait(ix, Wait::Pace, due);
            return;
        }
        let slot = &mut self.slots[ix as usize];
        slot.phase = Phase::Ready;
        slot.in_suspects = slot.suspect && slot.host != NIL;
        let host = if slot.host == NIL { UNROUTED } else { slot.host };
        let suspects = slot.in_suspects;
        let queue = &mut self.hosts[host as usize];
        let list = if suspects { &mut queue.suspects } else { &mut queue.ready };
        list.push_back(&mut self.slots, ix);
        self.offer(now, host);
    }

    /// Takes a token from each pace group; `Some` is the time at which the reserved one is due.
    fn pay(&mut self, now: u64, ix: u32) -> Option<u64> {
        let rate = u64::from(self.settings.pace_per_second);
        if rate == 0 {
            return None;
        }
        let each = 1_000_000 / rate;
        let slack = each * u64::from(self.settings.pace_burst.max(1) - 1);
        let now_us = now * 1_000;
        let mut due = now_us;
        let slot = &self.slots[ix as usize];
        let mut groups = slot.pace.map(|group| (group != NIL).then_some(u64::from(group)));
        if groups == [None; 2] && slot.host != NIL {
            groups[0] = Some(HOST_GROUP | u64::from(slot.host));
        }
        for group in groups.into_iter().flatten() {
            if self.pace.len() >= self.prune_pace_at && !self.pace.contains_key(&group) {
                self.pace.retain(|_, next| *next > now_us);
                self.prune_pace_at = (self.pace.len() * 2).max(PACE_GROUPS);
            }
            let next = self.pace.entry(group).or_insert(now_us);
            due = due.max(next.saturating_sub(slack));
            *next = (*next).max(now_us) + each;
        }
        (due > now_us).then(|| due.div_ceil(1_000))
    }

    // ---- hosts ----

    fn host_for(&mut self, origin: &Arc<Origin>) -> Option<u32> {
        if let Some(host) = self.by_key.get(&origin.key) {
            return Some(*host);
        }
        if self.by_key.len() >= self.settings.max_hosts {
            self.counters.too_many_hosts += 1;
            return None;
        }
        let host = if let Some(host) = self.free_hosts.pop() {
            self.hosts[host as usize] = Host::new(Some(Arc::clone(origin)));
            host
        } else {
            let host = u32::try_from(self.hosts.len()).ok()?;
            self.hosts.push(Host::new(Some(Arc::clone(origin))));
            host
        };
        self.by_key.insert(origin.key.clone(), host);
        Some(host)
    }

    fn set_host(&mut self, ix: u32, host: u32) {
        let old = std::mem::replace(&mut self.slots[ix as usize].host, host);
        if old == host {
            return;
        }
        if host != NIL {
            self.hosts[host as usize].refs += 1;
        }
        if old != NIL {
            self.hosts[old as usize].refs -= 1;
            self.free_if_unused(old);
        }
    }

    fn free_if_unused(&mut self, ix: u32) {
        let host = &mut self.hosts[ix as usize];
        if ix == UNROUTED || host.refs > 0 || host.in_flight() > 0 {
            return;
        }
        let Some(origin) = host.origin.take() else { return };
        self.by_key.remove(&origin.key);
        self.lines -= host.lines.len();
        self.graveyard.extend(host.lines.drain(..).map(|(line, _)| line));
        // It may still stand in the ring: an entry without work is skipped there.
        self.free_hosts.push(ix);
    }

    fn suspects_allowed(&self) -> bool {
        self.suspects_out < (self.settings.in_flight_total / 4).max(1)
    }

    /// Puts a host with work and room into the ring.
    fn offer(&mut self, now: u64, ix: u32) {
        let allowed = self.suspects_allowed();
        let host = &mut self.hosts[ix as usize];
        if !host.in_ring && host.choose(&self.settings, allowed, now).is_some() {
            host.in_ring = true;
            self.ring.push_back(ix);
        }
    }

    // ---- workers ----

    /// Whether another worker would find something to do; counts it as hunting when so.
    pub(super) fn wants_worker(&mut self, now: u64) -> bool {
        let wanted = !self.ring.is_empty()
            && !self.halted(now)
            && self.quick + self.hunters < self.settings.in_flight
            && self.total + self.hunters < self.settings.in_flight_total
            && (self.hunters as usize) < self.ring.len();
        if wanted {
            self.hunters += 1;
        }
        wanted
    }

    fn halted(&self, now: u64) -> bool {
        self.stopped || now < self.paused_until
    }

    /// The next job for a hunting worker; `None` ends the worker.
    pub(super) fn pick(&mut self, now: u64) -> Option<Job<L>> {
        self.hunters -= 1;
        if self.halted(now)
            || self.quick >= self.settings.in_flight
            || self.total >= self.settings.in_flight_total
        {
            return None;
        }
        while let Some(ix) = self.ring.pop_front() {
            let allowed = self.suspects_allowed();
            let host = &mut self.hosts[ix as usize];
            host.in_ring = false;
            let Some(pick) = host.choose(&self.settings, allowed, now) else { continue };
            let list = match pick {
                Pick::Ready => &mut host.ready,
                Pick::Suspect => &mut host.suspects,
            };
            let Some(object) = list.pop_front(&mut self.slots) else { continue };
            host.took_turn();
            let line = host.lines.pop().map(|(line, _)| line);
            self.lines -= usize::from(line.is_some());
            let suspect = pick == Pick::Suspect;
            let slot = &mut self.slots[object as usize];
            let before = (slot.last_push, slot.stage);
            slot.phase = Phase::InFlight;
            slot.woken = false;
            if slot.last_push == NEVER || now - slot.last_push >= 2 * self.settings.max_interval_ms {
                slot.stage = 0;
            } else if slot.run == 0 {
                slot.stage = slot.stage.saturating_add(1).min(8);
            }
            slot.last_push = now;
            self.quick += 1;
            self.total += 1;
            let mut job = Job {
                object,
                host: ix,
                quick: true,
                slow: false,
                suspect,
                probe: false,
                started: now,
                before,
                line,
            };
            self.occupy(&mut job);
            self.offer(now, ix);
            return Some(job);
        }
        None
    }

    fn occupy(&mut self, job: &mut Job<L>) {
        let host = &mut self.hosts[job.host as usize];
        job.probe = host.open_until.is_some() && !host.probing;
        host.probing |= job.probe;
        host.ordinary += 1;
        if job.suspect {
            host.suspects_out += 1;
            self.suspects_out += 1;
        }
    }

    fn vacate(&mut self, now: u64, job: &Job<L>) {
        let host = &mut self.hosts[job.host as usize];
        if job.probe {
            host.probing = false;
        }
        if job.slow {
            host.slow -= 1;
        } else {
            host.ordinary -= 1;
        }
        if job.suspect {
            host.suspects_out -= 1;
            self.suspects_out -= 1;
        }
        self.offer(now, job.host);
        self.free_if_unused(job.host);
    }

    /// The composed parcel names its host: true when the job may go there now.
    pub(super) fn route(&mut self, now: u64, job: &mut Job<L>, origin: &Arc<Origin>) -> bool {
        if self.is_superseded(job.object) {
            return false;
        }
        if self.hosts[job.host as usize].origin.as_ref().is_some_and(|own| own.key == origin.key) {
            return true;
        }
        let Some(host) = self.host_for(origin) else { return false };
        self.set_host(job.object, host);
        if let Some(line) = job.line.take() {
            self.keep(now, job.host, line);
        }
        self.vacate(now, job);
        job.host = host;
        job.slow = false;
        job.suspect = false;
        let room = self.hosts[host as usize].has_room(&self.settings, now);
        self.occupy(job);
        if room && let Some((line, _)) = self.hosts[host as usize].lines.pop() {
            self.lines -= 1;
            job.line = Some(line);
        }
        room
    }

    /// The post has been out for a moment: this machine may start another.
    pub(super) fn no_longer_quick(&mut self, job: &mut Job<L>) {
        if std::mem::take(&mut job.quick) {
            self.quick -= 1;
        }
    }

    /// The post is slow: its host may start another, if it has a place for slow ones.
    pub(super) fn turned_slow(&mut self, now: u64, job: &mut Job<L>) {
        let host = &mut self.hosts[job.host as usize];
        if !job.slow && host.slow < self.settings.per_host_slow {
            job.slow = true;
            host.ordinary -= 1;
            host.slow += 1;
            self.offer(now, job.host);
        }
    }

    /// Takes a job back, with its connection when that can be used again. The worker hunts on.
    pub(super) fn finish(&mut self, now: u64, job: Job<L>, finish: Finish, verdict: Verdict) {
        let mut job = job;
        if let Some(line) = job.line.take() {
            self.keep(now, job.host, line);
        }
        self.judge(now, &job, verdict);
        self.no_longer_quick(&mut job);
        self.total -= 1;
        self.hunters += 1;
        self.settle(now, &job, finish, verdict);
        self.vacate(now, &job);
    }

    fn settle(&mut self, now: u64, job: &Job<L>, finish: Finish, verdict: Verdict) {
        let ix = job.object;
        let slot = &mut self.slots[ix as usize];
        if slot.forgotten {
            *slot = Slot::VACANT;
            return;
        }
        if std::mem::take(&mut slot.resumed) {
            slot.phase = Phase::Idle;
            self.schedule_change(now, ix, 0);
            return;
        }
        let woken = std::mem::take(&mut slot.woken);
        match finish {
            Finish::Nothing => {
                (slot.last_push, slot.stage) = job.before;
                slot.phase = Phase::Idle;
                slot.run = 0;
                if woken {
                    self.schedule_change(now, ix, self.settings.linger_ms);
                }
            }
            Finish::Delivered { more } => {
                self.counters.delivered += 1;
                slot.failures = 0;
                slot.suspect = now - job.started >= ms(self.settings.suspect);
                slot.phase = Phase::Idle;
                // Woken meanwhile, what is left may be news: at the interval, or flapping would
                // defeat it.
                if more && !woken && slot.run < MAX_RUN {
                    slot.run += 1;
                    self.make_ready(now, ix, false);
                } else {
                    slot.run = 0;
                    if more || woken {
                        self.schedule_change(now, ix, 0);
                    }
                }
            }
            Finish::Retry { after } => {
                self.counters.retries += 1;
                slot.run = 0;
                slot.failures = slot.failures.saturating_add(1);
                slot.suspect = verdict == Verdict::Silent || now - job.started >= ms(self.settings.suspect);
                let failures = slot.failures;
                let delay = self.retry_delay(failures, after);
                self.wait(ix, Wait::Backoff, now + delay);
            }
            Finish::Dead => {
                self.counters.dead += 1;
                slot.phase = Phase::Dead;
                slot.run = 0;
            }
            Finish::Again => {
                (slot.last_push, slot.stage) = job.before;
                if slot.host == NIL {
                    // Its host has no place in the table: not a reason to spin.
                    let delay = self.retry_delay(1, None);
                    self.wait(ix, Wait::Backoff, now + delay);
                } else {
                    self.make_ready(now, ix, true);
                }
            }
        }
    }

    fn retry_delay(&mut self, failures: u8, after: Option<Duration>) -> u64 {
        if let Some(after) = after {
            let after = ms(after.min(self.settings.retry_after_max));
            return after.max(MIN_RETRY_MS) + self.below((after / 4).min(5_000) + 1);
        }
        let base = ms(self.settings.retry_base).max(1);
        let top = base.saturating_mul(1 << u32::from(failures.saturating_sub(1)).min(30));
        self.below(top.min(ms(self.settings.retry_max)) + 1).max(MIN_RETRY_MS)
    }

    fn judge(&mut self, now: u64, job: &Job<L>, verdict: Verdict) {
        let first_failure = self.slots[job.object as usize].failures == 0;
        let host = &mut self.hosts[job.host as usize];
        match verdict {
            Verdict::Alive => {
                host.proven = true;
                host.fails = 0;
                if host.open_until.take().is_some() {
                    self.counters.breakers_closed += 1;
                }
            }
            Verdict::Neutral => {}
            // One object that never answers must not shut its neighbours out: its later
            // failures say nothing new about the host, except to a probe.
            Verdict::Silent if !first_failure && host.open_until.is_none() => {}
            Verdict::Down | Verdict::Silent => {
                host.fails = host.fails.saturating_add(1);
                let base = ms(self.settings.breaker_base).max(1);
                let cool = match host.open_until {
                    // Sent before the breaker opened: already counted.
                    Some(until) if job.started < until => return,
                    Some(_) => host.cool.saturating_mul(2).min(ms(self.settings.breaker_max)),
                    None if host.fails >= self.settings.breaker_after => base,
                    None => return,
                };
                host.cool = cool;
                host.proven = false;
                self.counters.breakers_opened += 1;
                let until = now + cool * 3 / 4 + self.below(cool / 2 + 1);
                self.hosts[job.host as usize].open_until = Some(until);
                self.breakers.push(Reverse((until, job.host)));
                self.ring_bell |= until < self.armed;
            }
        }
    }

    /// The process has no descriptor left: nothing starts for a moment, idle connections go.
    pub(super) fn out_of_descriptors(&mut self, now: u64) {
        self.counters.descriptor_pauses += 1;
        self.paused_until = now + DESCRIPTOR_PAUSE_MS;
        self.ring_bell |= self.paused_until < self.armed;
        self.close_idle();
    }

    // ---- connections ----

    fn keep(&mut self, now: u64, ix: u32, line: L) {
        let host = &mut self.hosts[ix as usize];
        if self.stopped || host.origin.is_none() || host.lines.len() >= self.settings.idle_per_host {
            self.graveyard.push(line);
            return;
        }
        host.lines.push((line, now));
        self.lines += 1;
        if self.lines > self.settings.idle_total {
            self.evict_one(ix);
        }
    }

    /// Closes the oldest connection of the next host in turn that has one, other than `spare`.
    fn evict_one(&mut self, spare: u32) {
        for _ in 0..self.hosts.len() {
            self.evict_cursor = (self.evict_cursor + 1) % self.hosts.len();
            let host = &mut self.hosts[self.evict_cursor];
            if !host.lines.is_empty() && (self.evict_cursor != spare as usize || host.lines.len() > 1) {
                self.graveyard.push(host.lines.remove(0).0);
                self.lines -= 1;
                return;
            }
        }
        if let Some((line, _)) = self.hosts[spare as usize].lines.pop() {
            self.graveyard.push(line);
            self.lines -= 1;
        }
    }

    fn close_idle(&mut self) {
        for host in &mut self.hosts {
            self.graveyard.extend(host.lines.drain(..).map(|(line, _)| line));
        }
        self.lines = 0;
    }

    /// Lets go of connections that are too old or that `gone` knows to be closed.
    pub(super) fn sweep(&mut self, now: u64, mut gone: impl FnMut(&mut L) -> bool) {
        let limit = ms(self.settings.idle_timeout);
        for host in &mut self.hosts {
            let kept = host.lines.len();
            let dead = host.lines.extract_if(.., |(line, since)| now - *since >= limit || gone(line));
            self.graveyard.extend(dead.map(|(line, _)| line));
            self.lines -= kept - host.lines.len();
        }
    }

    // ---- the end, and looking in ----

    /// Nothing starts any more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.close_idle();
    }

    pub(super) fn has_idle_lines(&self) -> bool {
        self.lines > 0
    }

    pub(super) fn gauges(&self, now: u64) -> super::status::Gauges {
        let queued = self.hosts.iter().map(|host| (host.ready.len() + host.suspects.len()) as usize).sum();
        super::status::Gauges {
            objects: self.slots.iter().filter(|slot| slot.phase != Phase::Vacant).count(),
            dead: self.slots.iter().filter(|slot| slot.phase == Phase::Dead).count(),
            waiting: self.wheel.len(),
            queued,
            in_flight: self.total as usize,
            hosts: self.by_key.len(),
            open_breakers: self
                .hosts
                .iter()
                .filter_map(|host| {
                    let until = host.open_until?;
                    Some((
                        host.origin.as_ref()?.key.to_string(),
                        Duration::from_millis(until.saturating_sub(now)),
                    ))
                })
                .collect(),
            idle_connections: self.lines,
        }
    }

    /// A number below `bound` (splitmix64; for jitter only).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod tests;
