use super::*;
use crate::delivery::callback;

type Sim = Plan<u32>;

fn settings() -> DeliverySettings {
    DeliverySettings { pace_per_second: 0, ..DeliverySettings::default() }
}

fn plan(settings: DeliverySettings) -> Sim {
    Plan::new(settings, 7)
}

fn origin(n: u32) -> Arc<Origin> {
    let (key, _) = callback::parse(&format!("http://h{n}.example.org:9000/")).expect("url");
    Arc::new(Origin::new(key))
}

const NO_PACE: [u32; 2] = [NIL; 2];

/// All jobs that may start now.
fn jobs(plan: &mut Sim, now: u64) -> Vec<Job<u32>> {
    plan.advance(now);
    let mut out = Vec::new();
    while plan.wants_worker(now) {
        out.extend(plan.pick(now));
    }
    out
}

/// The worker that finished a job goes home.
fn done(plan: &mut Sim, now: u64, job: Job<u32>, finish: Finish, verdict: Verdict) {
    plan.finish(now, job, finish, verdict);
    plan.hunters -= 1;
}

const OK: (Finish, Verdict) = (Finish::Delivered { more: false }, Verdict::Alive);

fn deliver(plan: &mut Sim, now: u64, job: Job<u32>) {
    done(plan, now, job, OK.0, OK.1);
}

/// Registers `count` objects at one host and delivers their first push, so that the host is proven.
fn settled(plan: &mut Sim, objects: std::ops::Range<u32>, host: &Arc<Origin>) {
    for ix in objects {
        plan.resume(0, ix, host, NO_PACE);
    }
    // The wheel may already stand later than 0 ms because of an earlier host.
    let mut now = 0;
    loop {
        let ready = jobs(plan, now);
        if ready.is_empty() {
            match plan.wheel.next_due() {
                NEVER => break,
                due => now = due,
            }
        }
        for job in ready {
            deliver(plan, now, job);
        }
    }
}

#[test]
fn the_first_change_goes_after_the_linger_and_takes_later_ones_along() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..1, &origin(0));
    for now in 10_000..10_020 {
        plan.wake(now, 0, false);
        assert!(jobs(&mut plan, now).is_empty());
    }
    assert_eq!(jobs(&mut plan, 10_024).len(), 1);
    assert_eq!(plan.counters.coalesced, 19);
}

#[test]
fn an_urgent_change_goes_at_once_even_from_within_the_linger() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..2, &origin(0));
    plan.wake(10_000, 0, true);
    plan.wake(10_000, 1, false);
    plan.wake(10_001, 1, true);
    assert_eq!(jobs(&mut plan, 10_001).len(), 2);
}

#[test]
fn an_object_in_flight_is_not_given_out_again_and_its_change_follows() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..1, &origin(0));
    plan.wake(10_000, 0, true);
    let job = jobs(&mut plan, 10_000).pop().expect("job");
    for now in 10_001..10_400 {
        plan.wake(now, 0, true);
        assert!(jobs(&mut plan, now).is_empty());
    }
    deliver(&mut plan, 10_400, job);
    let job = jobs(&mut plan, 10_800).pop().expect("the change is not lost");
    deliver(&mut plan, 10_801, job);
    assert!(jobs(&mut plan, 60_000).is_empty(), "and not repeated");
}

#[test]
fn a_flapping_object_is_pushed_once_a_second_and_its_last_state_within_one() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..20, &origin(0));
    let (begin, end) = (10_000, 20_000);
    let mut pushes = [0u32; 20];
    let mut first = [u64::MAX; 20];
    let mut last = [0u64; 20];
    for now in begin..end + 2_000 {
        if now < end {
            (0..20).for_each(|ix| plan.wake(now, ix, false));
        }
        for job in jobs(&mut plan, now) {
            let ix = job.object as usize;
            pushes[ix] += 1;
            first[ix] = first[ix].min(now);
            last[ix] = now;
            deliver(&mut plan, now, job);
        }
    }
    for ix in 0..20 {
        assert!(first[ix] <= begin + 24, "the first goes out at once, not at {}", first[ix]);
        assert!(pushes[ix] <= 11, "{} pushes in ten seconds of flapping", pushes[ix]);
        assert!(last[ix] >= end && last[ix] <= end + 1_000, "last push at {}", last[ix]);
    }
    // After quiet it is quick again.
    plan.wake(40_000, 3, false);
    assert_eq!(jobs(&mut plan, 40_024).len(), 1);
}

#[test]
fn parts_that_did_not_fit_follow_at_once_but_news_keeps_its_interval() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..1, &origin(0));
    plan.wake(10_000, 0, true);
    for now in 10_000..10_004 {
        let job = jobs(&mut plan, now).pop().expect("the next part");
        done(&mut plan, now, job, Finish::Delivered { more: now < 10_003 }, Verdict::Alive);
    }
    assert!(jobs(&mut plan, 10_100).is_empty());
    plan.wake(20_000, 0, true);
    let job = jobs(&mut plan, 20_000).pop().expect("job");
    plan.wake(20_001, 0, true);
    done(&mut plan, 20_001, job, Finish::Delivered { more: true }, Verdict::Alive);
    assert!(jobs(&mut plan, 20_001).is_empty());
    assert_eq!(jobs(&mut plan, 21_300).len(), 1);
}

#[test]
fn back_off_grows_is_not_shortened_by_changes_and_ends_when_the_object_registers() {
    let mut plan = plan(settings());
    let host = origin(0);
    settled(&mut plan, 0..1, &host);
    let (mut now, mut waits) = (10_000, Vec::new());
    plan.wake(now, 0, true);
    for _ in 0..40 {
        plan.wake(now, 0, true);
        let failed = now;
        let job = loop {
            if let Some(job) = jobs(&mut plan, now).pop() {
                break job;
            }
            now += 50;
        };
        waits.push(now - failed);
        done(&mut plan, now, job, Finish::Retry { after: None }, Verdict::Alive);
    }
    assert!(*waits.iter().max().expect("some") <= 60_050, "bounded: {waits:?}");
    let (early, late): (u64, u64) = (waits[1..6].iter().sum(), waits[30..35].iter().sum());
    assert!(late > early, "grows: {waits:?}");
    plan.resume(now, 0, &host, NO_PACE);
    assert_eq!(jobs(&mut plan, now + 24).len(), 1);
}

#[test]
fn retry_after_is_obeyed_and_bounded() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..2, &origin(0));
    for (ix, seconds, earliest, latest) in [(0, 30, 30_000, 36_000), (1, 86_400, 600_000, 606_000)] {
        plan.wake(10_000, ix, true);
        let job = jobs(&mut plan, 10_000).pop().expect("job");
        let after = Some(Duration::from_secs(seconds));
        done(&mut plan, 10_000, job, Finish::Retry { after }, Verdict::Alive);
        assert!(jobs(&mut plan, 10_000 + earliest - 1).is_empty());
        let job = jobs(&mut plan, 10_000 + latest).pop().expect("retried");
        done(&mut plan, 10_000 + latest, job, Finish::Dead, Verdict::Alive);
    }
}

#[test]
fn a_dead_object_stays_silent_until_it_registers() {
    let mut plan = plan(settings());
    let host = origin(0);
    settled(&mut plan, 0..1, &host);
    plan.wake(10_000, 0, true);
    let job = jobs(&mut plan, 10_000).pop().expect("job");
    done(&mut plan, 10_000, job, Finish::Dead, Verdict::Alive);
    plan.wake(20_000, 0, true);
    assert!(jobs(&mut plan, 100_000).is_empty());
    assert_eq!(plan.gauges(100_000).dead, 1);
    plan.resume(100_000, 0, &host, NO_PACE);
    assert_eq!(jobs(&mut plan, 100_024).len(), 1);
}

#[test]
fn a_host_gets_a_few_posts_at_once_two_more_when_they_are_slow_and_others_are_not_held_up() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..50, &origin(0));
    settled(&mut plan, 50..60, &origin(1));
    (0..50).for_each(|ix| plan.wake(10_000, ix, true));
    let mut out = jobs(&mut plan, 10_000);
    assert_eq!(out.len(), 6);
    for job in &mut out {
        plan.turned_slow(10_100, job);
    }
    out.extend(jobs(&mut plan, 10_100));
    assert_eq!(out.len(), 8);
    out.iter_mut().for_each(|job| plan.turned_slow(10_200, job));
    assert!(jobs(&mut plan, 10_200).is_empty());
    (50..60).for_each(|ix| plan.wake(10_200, ix, true));
    assert_eq!(jobs(&mut plan, 10_200).len(), 6);
    // One comes back, one more goes.
    deliver(&mut plan, 10_300, out.pop().expect("out"));
    assert_eq!(jobs(&mut plan, 10_300).len(), 1);
}

#[test]
fn a_host_not_heard_of_yet_gets_two_posts_until_it_answers() {
    let mut plan = plan(settings());
    let host = origin(0);
    (0..20).for_each(|ix| plan.resume(0, ix, &host, NO_PACE));
    let mut out = jobs(&mut plan, 24);
    assert_eq!(out.len(), 2);
    deliver(&mut plan, 25, out.pop().expect("out"));
    assert_eq!(jobs(&mut plan, 25).len(), 5);
}

#[test]
fn silent_objects_share_two_places_and_leave_the_rest_to_the_others() {
    let mut plan = plan(DeliverySettings { breaker_after: 1_000, ..settings() });
    settled(&mut plan, 0..40, &origin(0));
    // Twenty of forty fall silent; now and then another one answers.
    (0..40).for_each(|ix| plan.wake(10_000, ix, true));
    let mut now = 10_000;
    loop {
        let ready = jobs(&mut plan, now);
        if ready.is_empty() && now > 30_000 {
            break;
        }
        for job in ready {
            if job.object < 20 {
                done(
                    &mut plan,
                    now,
                    job,
                    Finish::Retry { after: Some(Duration::from_secs(100)) },
                    Verdict::Silent,
                );
            } else {
                deliver(&mut plan, now, job);
            }
        }
        now += 100;
    }
    // All are due again at once: the suspects never hold more than two places.
    now += 200_000;
    (20..40).for_each(|ix| plan.wake(now, ix, true));
    plan.advance(now);
    let (mut healthy, mut silent) = (0, Vec::new());
    loop {
        let ready = jobs(&mut plan, now);
        if ready.is_empty() {
            break;
        }
        for job in ready {
            if job.object < 20 {
                silent.push(job);
            } else {
                healthy += 1;
                deliver(&mut plan, now, job);
            }
        }
        assert!(silent.len() <= 2);
    }
    assert_eq!((healthy, silent.len()), (20, 2));
}

#[test]
fn the_breaker_opens_for_different_objects_probes_once_and_closes_on_an_answer() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..30, &origin(0));
    (0..30).for_each(|ix| plan.wake(10_000, ix, true));
    let mut failed = 0;
    while let Some(job) = jobs_one(&mut plan, 10_000) {
        failed += 1;
        done(&mut plan, 10_000, job, Finish::Retry { after: None }, Verdict::Down);
    }
    assert_eq!(failed, 5);
    assert_eq!(plan.gauges(10_000).open_breakers.len(), 1);
    assert!(jobs(&mut plan, 10_700).is_empty(), "left alone");
    let probe = jobs(&mut plan, 11_300);
    assert_eq!(probe.len(), 1, "one probe");
    for job in probe {
        done(&mut plan, 11_300, job, Finish::Retry { after: None }, Verdict::Down);
    }
    assert!(jobs(&mut plan, 12_700).is_empty(), "left alone for longer");
    let probe = jobs(&mut plan, 14_000).pop().expect("the next probe");
    deliver(&mut plan, 14_000, probe);
    assert_eq!(plan.counters.breakers_closed, 1);
    assert_eq!(jobs(&mut plan, 14_000).len(), 6, "back to normal");
}

fn jobs_one(plan: &mut Sim, now: u64) -> Option<Job<u32>> {
    plan.advance(now);
    if plan.wants_worker(now) { plan.pick(now) } else { None }
}

#[test]
fn posts_that_wait_for_silence_keep_neither_neighbours_nor_the_probe_out() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..30, &origin(0));
    (0..6).for_each(|ix| plan.wake(10_000, ix, true));
    let mut silent = jobs(&mut plan, 10_000);
    silent.iter_mut().for_each(|job| plan.turned_slow(10_100, job));
    assert_eq!(silent.len(), 6);
    // Failures of others come one after the other: two places are left, and they stay usable.
    for ix in 6..11 {
        plan.wake(10_100, ix, true);
        let job = jobs(&mut plan, 10_100).pop().expect("room beside the silent ones");
        done(&mut plan, 10_100, job, Finish::Retry { after: None }, Verdict::Silent);
    }
    // The fifth opened the breaker; its probe goes out although six posts still wait.
    assert_eq!(plan.gauges(10_100).open_breakers.len(), 1);
    (20..30).for_each(|ix| plan.wake(10_100, ix, true));
    assert!(jobs(&mut plan, 10_200).is_empty());
    let probe = jobs(&mut plan, 11_400);
    assert_eq!(probe.len(), 1);
    for job in probe {
        deliver(&mut plan, 11_400, job);
    }
    assert_eq!(jobs(&mut plan, 11_400).len(), 2, "the two places are in use again");
}

#[test]
fn one_silent_object_does_not_open_the_breaker_for_its_neighbours() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..2, &origin(0));
    let mut now = 10_000;
    plan.wake(now, 0, true);
    for _ in 0..50 {
        now += 100_000;
        for job in jobs(&mut plan, now) {
            done(&mut plan, now, job, Finish::Retry { after: None }, Verdict::Silent);
        }
    }
    assert_eq!(plan.counters.breakers_opened, 0);
    plan.wake(now, 1, true);
    assert_eq!(jobs(&mut plan, now).len(), 1);
}

#[test]
fn a_pace_group_spends_its_burst_and_then_keeps_its_rate() {
    let mut plan = plan(DeliverySettings {
        pace_per_second: 100,
        pace_burst: 20,
        per_host: 1_000,
        in_flight: 1_000,
        ..settings()
    });
    // Two hosts, one region; the second host has its own group besides.
    let (first, second) = (origin(0), origin(1));
    for ix in 0..120 {
        plan.resume(0, ix, if ix % 2 == 0 { &first } else { &second }, [1, NIL]);
    }
    plan.resume(0, 120, &second, [2, NIL]);
    let mut sent = 0;
    for now in 0..=2_000 {
        for job in jobs(&mut plan, now) {
            sent += u64::from(job.object < 120);
            deliver(&mut plan, now, job);
        }
        let allowed = 21 + now / 10;
        assert!(sent <= allowed, "{sent} at {now}");
        if now == 30 {
            assert!(sent >= 20, "the burst goes out at once, not only {sent}");
            assert_eq!(plan.gauges(now).objects, 121);
        }
    }
    assert_eq!(sent, 120);
}

#[test]
fn without_a_group_the_host_is_the_group() {
    let mut plan = plan(DeliverySettings { pace_per_second: 10, pace_burst: 5, ..settings() });
    let (first, second) = (origin(0), origin(1));
    (0..50).for_each(|ix| plan.resume(0, ix, if ix < 40 { &first } else { &second }, NO_PACE));
    let mut sent = [0; 2];
    for now in 0..200 {
        for job in jobs(&mut plan, now) {
            sent[usize::from(job.object >= 40)] += 1;
            deliver(&mut plan, now, job);
        }
    }
    assert!(sent.iter().all(|sent| (5..=7).contains(sent)), "{sent:?}");
}

#[test]
fn an_object_registered_again_in_flight_goes_to_its_new_host_when_the_old_post_ends() {
    let mut plan = plan(settings());
    let (old, new) = (origin(0), origin(1));
    settled(&mut plan, 0..1, &old);
    plan.wake(10_000, 0, true);
    let job = jobs(&mut plan, 10_000).pop().expect("job");
    plan.resume(10_001, 0, &new, NO_PACE);
    assert!(plan.is_superseded(0));
    // Whatever the old URL said last does not count against the new one.
    done(&mut plan, 10_002, job, Finish::Dead, Verdict::Alive);
    let mut job = jobs(&mut plan, 10_002).pop().expect("new job");
    assert!(plan.route(10_002, &mut job, &new));
    deliver(&mut plan, 10_003, job);
    assert_eq!(plan.gauges(10_003).hosts, 1, "the old host is let go");
}

#[test]
fn forgotten_objects_leave_nothing_behind() {
    let mut plan = plan(settings());
    for round in 0..50u32 {
        let host = origin(round);
        for ix in 0..20 {
            plan.resume(u64::from(round) * 1_000, ix, &host, NO_PACE);
        }
        let now = u64::from(round) * 1_000 + 24;
        let mut out = jobs(&mut plan, now);
        (0..20).for_each(|ix| plan.forget(ix));
        if let Some(job) = out.pop() {
            done(&mut plan, now, Job { line: Some(1), ..job }, OK.0, OK.1);
        }
        for job in out {
            done(&mut plan, now, job, Finish::Again, Verdict::Neutral);
        }
        let gauges = plan.gauges(now);
        assert_eq!((gauges.objects, gauges.hosts, gauges.in_flight, gauges.idle_connections), (0, 0, 0, 0));
        assert!(jobs(&mut plan, now + 500).is_empty());
    }
    assert!(plan.hosts.len() <= 3, "places in the table are used again: {}", plan.hosts.len());
}

#[test]
fn idle_connections_are_capped_altogether_and_per_host() {
    let mut plan = plan(DeliverySettings { idle_total: 10, idle_per_host: 3, ..settings() });
    for n in 0..40 {
        settled(&mut plan, n * 10..n * 10 + 10, &origin(n));
    }
    for ix in 0..400 {
        plan.wake(10_000, ix, true);
    }
    loop {
        let ready = jobs(&mut plan, 10_000);
        if ready.is_empty() {
            break;
        }
        for job in ready {
            done(&mut plan, 10_000, Job { line: Some(job.object), ..job }, OK.0, OK.1);
            assert!(plan.gauges(10_000).idle_connections <= 10);
            assert!(plan.hosts.iter().all(|host| host.lines.len() <= 3));
        }
    }
    assert_eq!(plan.gauges(10_000).idle_connections, 10);
    plan.sweep(40_001, |_| false);
    assert_eq!(plan.gauges(40_001).idle_connections, 0);
}

#[test]
fn without_descriptors_nothing_starts_for_a_moment_and_nothing_is_lost() {
    let mut plan = plan(settings());
    settled(&mut plan, 0..10, &origin(0));
    (0..10).for_each(|ix| plan.wake(10_000, ix, true));
    for job in jobs(&mut plan, 10_000) {
        plan.out_of_descriptors(10_000);
        done(&mut plan, 10_000, job, Finish::Again, Verdict::Neutral);
    }
    assert!(jobs(&mut plan, 10_200).is_empty());
    let mut sent = 0;
    loop {
        let ready = jobs(&mut plan, 10_300);
        if ready.is_empty() {
            break;
        }
        for job in ready {
            sent += 1;
            deliver(&mut plan, 10_300, job);
        }
    }
    assert_eq!(sent, 10);
    assert_eq!(plan.counters.retries, 0);
}

/// Thousands of random steps: no object twice in flight, limits kept, books balanced, and in the
/// end every change has been sent after it was made.
#[test]
fn random_histories_lose_nothing_and_keep_the_limits() {
    for seed in 0..30u64 {
        let mut plan = plan(DeliverySettings {
            in_flight: 9,
            in_flight_total: 14,
            pace_per_second: if seed % 2 == 0 { 0 } else { 500 },
            pace_burst: 5,
            ..settings()
        });
        plan.random = seed;
        let hosts: Vec<_> = (0..6).map(origin).collect();
        let mut home = [0usize; 60];
        let mut changed = [None::<u64>; 60];
        let mut gone = [false; 60];
        let mut out: Vec<Job<u32>> = Vec::new();
        let mut now = 0;
        (0..60).for_each(|ix| plan.resume(now, ix, &hosts[0], [ix % 3, NIL]));
        for step in 0..6_000u32 {
            let quiet = step >= 4_000;
            now += if quiet { 200 } else { plan.below(30) };
            let ix = u32::try_from(plan.below(60)).expect("small");
            let at = ix as usize;
            match plan.below(if quiet { 1 } else { 12 }) {
                0 => {}
                1 => {
                    home[at] = usize::try_from(plan.below(6)).expect("small");
                    plan.resume(now, ix, &hosts[home[at]], [ix % 3, NIL]);
                    gone[at] = false;
                    changed[at] = Some(now);
                }
                2 if plan.below(10) == 0 => {
                    plan.forget(ix);
                    gone[at] = true;
                    changed[at] = None;
                }
                _ if !gone[at] => {
                    changed[at] = Some(now);
                    let at_once = plan.below(2) == 0;
                    plan.wake(now, ix, at_once);
                }
                _ => {}
            }
            for mut job in jobs(&mut plan, now) {
                assert!(out.iter().all(|other| other.object != job.object), "twice in flight");
                let target = Arc::clone(&hosts[home[job.object as usize]]);
                if plan.route(now, &mut job, &target) {
                    out.push(job);
                } else {
                    done(&mut plan, now, job, Finish::Again, Verdict::Neutral);
                }
            }
            assert!(out.len() <= 14);
            for host in &plan.hosts {
                assert!(host.in_flight() <= 8);
            }
            while !out.is_empty() && plan.below(3) > 0 {
                let pick = usize::try_from(plan.below(out.len() as u64)).expect("small");
                let mut job = out.swap_remove(pick);
                if plan.below(3) == 0 {
                    plan.no_longer_quick(&mut job);
                    plan.turned_slow(now, &mut job);
                }
                let good = quiet || plan.below(4) > 0;
                if good {
                    let at = job.object as usize;
                    // The state was composed when the job started.
                    if changed[at].is_some_and(|since| since <= job.started) {
                        changed[at] = None;
                    }
                    deliver(&mut plan, now, job);
                } else if plan.below(2) == 0 {
                    done(&mut plan, now, job, Finish::Retry { after: None }, Verdict::Silent);
                } else {
                    done(&mut plan, now, job, Finish::Again, Verdict::Neutral);
                }
            }
            assert_eq!(plan.total as usize, out.len());
        }
        assert!(out.is_empty());
        let left: Vec<_> = (0..60).filter(|at| changed[*at].is_some()).collect();
        assert!(left.is_empty(), "seed {seed}: changes of {left:?} were never sent");
        let gauges = plan.gauges(now);
        assert_eq!((gauges.waiting, gauges.queued, gauges.in_flight), (0, 0, 0), "seed {seed}");
        assert_eq!((plan.quick, plan.hunters, plan.suspects_out), (0, 0, 0));
    }
}
