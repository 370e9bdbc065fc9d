//! Every fault of a line and of a board, on a virtual clock: what the contract promises is what happens.

mod bench;

use std::time::Duration;

use bench::Bench;
use primrack_link::message::{FromBoard, Happening, OutputCause, ReaderHealth, Refusal, ResetCause, Uid};
use primrack_link::session::{Answer, Phase, RequestError, STALE_AFTER, SessionConfig};
use primrack_link::soft::{OutputKind, SoftConfig};

const MS: Duration = Duration::from_millis(1);

fn uid(number: u32) -> Uid {
    Uid::new(&number.to_be_bytes()).expect("four bytes")
}

fn tags(bench: &Bench) -> Vec<Uid> {
    bench
        .inputs
        .iter()
        .filter_map(|input| match input.happening {
            Happening::Tag { uid, .. } => Some(uid),
            _ => None,
        })
        .collect()
}

#[test]
fn a_board_is_adopted_at_once_and_states_what_it_is() {
    let mut bench = Bench::new();
    let took = bench.until(Duration::from_secs(1), |bench| bench.is_adopted());
    assert!(took < 20 * MS, "{took:?}");
    assert_eq!(bench.hello().id, "soft-door");
    assert!(bench.hello().simulated() && bench.session.status().words.contains("simulated"));
    bench.pass(100 * MS);
    assert_eq!(bench.session.status().outputs[..5], [Some(0), Some(0), Some(0), Some(0), None]);
    assert_eq!(bench.session.status().readers[0], Some(ReaderHealth::Ok));
}

#[test]
fn an_idle_line_keeps_both_sides_sure_of_each_other() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, None).unwrap();
    let before = bench.down.bytes;
    bench.pass(Duration::from_secs(600));
    assert!(bench.is_adopted() && bench.board.adopted());
    assert_eq!((bench.value(0), bench.session.status().adoptions), (1, 1));
    // One question a second, no more.
    assert!(bench.down.bytes - before < 620 * 25, "{} bytes", bench.down.bytes - before);
}

#[test]
fn a_set_is_done_once_and_its_lease_ends_it() {
    let mut bench = Bench::adopted();
    assert_eq!(bench.set(0, 1, Some(500 * MS)), Ok(Answer::Value(1)));
    bench.pass(450 * MS);
    assert_eq!(bench.value(0), 1);
    bench.pass(100 * MS);
    assert_eq!((bench.value(0), bench.session.status().outputs[0]), (0, Some(0)));
    assert!(
        bench
            .inputs
            .iter()
            .any(|input| input.happening
                == Happening::Output { output: 0, value: 0, cause: OutputCause::Lease })
    );
    // A lease that is over is not asserted after a reset.
    bench.board.reset(ResetCause::Watchdog, bench.now);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.value(0), 0);
}

#[test]
fn one_per_cent_of_bytes_damaged_both_ways_neither_wrong_nor_doubled_nor_lost_in_a_thousand_sets() {
    let mut bench = Bench::adopted();
    bench.pass(Duration::from_secs(1));
    (bench.down.errors, bench.up.errors) = (10_000, 10_000);
    let before = bench.board.outputs()[0].clone();
    let start = bench.now;
    for turn in 1..=1000_u32 {
        let value = turn % 2;
        assert_eq!(bench.set(0, value, None), Ok(Answer::Value(value)), "set {turn}");
        assert_eq!(bench.value(0), value, "set {turn}");
    }
    let after = bench.board.outputs()[0].clone();
    assert_eq!(after.edges - before.edges, 1000);
    assert_eq!(after.executed - before.executed, 1000);
    assert!(bench.session.status().counters.resent > 100, "the noise was felt");
    assert_eq!(bench.session.status().adoptions, 1);
    let each = (bench.now - start) / 1000;
    println!(
        "a set through one per cent of damage takes {each:?} on average, {:?}",
        bench.session.status().counters
    );
}

#[test]
fn one_per_cent_of_bytes_damaged_both_ways_neither_wrong_nor_doubled_nor_lost_in_a_thousand_badges() {
    let mut bench = Bench::adopted();
    (bench.down.errors, bench.up.errors) = (10_000, 10_000);
    for number in 0..1000 {
        bench.board.happen(Happening::Tag { reader: 0, uid: uid(number) }, bench.now);
        bench.pass(100 * MS);
    }
    bench.pass(Duration::from_secs(5));
    // Repeated ones come a little later than their followers, so the order is not theirs.
    let mut found = tags(&bench);
    found.sort();
    assert!(found == (0..1000).map(uid).collect::<Vec<_>>(), "each once, but there are {}", found.len());
    assert!(bench.session.status().counters.duplicates > 50, "the noise was felt");
}

#[test]
fn short_pulses_through_noise_are_given_once_each() {
    let mut bench = Bench::adopted();
    bench.pass(Duration::from_secs(1));
    (bench.down.errors, bench.up.errors) = (10_000, 10_000);
    let before = bench.board.outputs()[0].edges;
    for _ in 0..200 {
        // The answer says 0 when it came late and the pulse was over.
        bench.set(0, 1, Some(200 * MS)).unwrap();
        bench.pass(400 * MS);
        assert_eq!(bench.value(0), 0);
    }
    assert_eq!(bench.board.outputs()[0].edges - before, 400);
}

#[test]
fn a_flood_of_garbage_is_over_half_a_second_after_its_end() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, None).unwrap();
    bench.garbage(20_000);
    // 20 kB take 1.7 s of the line.
    bench.pass(1740 * MS);
    let ticket = bench.session.set(1, 5, None, bench.now);
    bench.board.happen(Happening::Tag { reader: 0, uid: uid(7) }, bench.now);
    let took = bench.until(500 * MS, |bench| bench.results.contains_key(&ticket) && !tags(bench).is_empty());
    assert!(took <= 500 * MS);
    assert_eq!((bench.value(0), bench.value(1)), (1, 5));
    assert_eq!(tags(&bench), [uid(7)], "no badge came out of the noise");
}

#[test]
fn after_a_brown_out_the_outputs_are_as_they_should_be_within_a_tenth_of_a_second() {
    let mut bench = Bench::adopted();
    for (output, value) in [(0, 1), (1, 5), (2, 1)] {
        bench.set(output, value, None).unwrap();
    }
    let text = bench.session.text(3, 0, "Hello, world!", bench.now);
    bench.result(text).unwrap();
    bench.board.reset(ResetCause::BrownOut, bench.now);
    assert_eq!([bench.value(0), bench.value(1), bench.value(2)], [0, 0, 0]);
    let took = bench.until(100 * MS, |bench| {
        [bench.value(0), bench.value(1), bench.value(2)] == [1, 5, 1]
            && bench.board.outputs()[3].rows[0] == "Hello, world!"
    });
    assert!(took < 100 * MS, "{took:?}");
    assert_eq!(bench.hello().cause, ResetCause::BrownOut);
    assert_eq!(bench.session.status().adoptions, 2);
}

#[test]
fn a_reset_gives_a_lease_only_what_is_left_of_it() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, Some(Duration::from_secs(2))).unwrap();
    bench.pass(Duration::from_secs(1));
    bench.board.reset(ResetCause::Watchdog, bench.now);
    bench.until(100 * MS, |bench| bench.value(0) == 1);
    let left = bench.until(Duration::from_secs(3), |bench| bench.value(0) == 0);
    assert!((850 * MS..=1010 * MS).contains(&left), "{left:?}");
}

#[test]
fn a_replugged_board_is_adopted_at_once_and_a_badge_shown_meanwhile_is_stale() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, None).unwrap();
    bench.unplug();
    assert_eq!(bench.session.status().phase, Phase::Closed);
    assert_eq!(bench.session.status().outputs[0], None, "nobody knows");
    bench.board.happen(Happening::Tag { reader: 0, uid: uid(1) }, bench.now);
    let refused = bench.session.set(1, 1, None, bench.now);
    assert!(matches!(bench.result(refused), Err(RequestError::Down(_))));
    bench.pass(2500 * MS);
    bench.plug();
    let took = bench.until(250 * MS, |bench| bench.is_adopted());
    assert!(took < 50 * MS, "{took:?}");
    bench.until(500 * MS, |bench| bench.session.status().outputs[0] == Some(1) && !tags(bench).is_empty());
    assert_eq!(bench.value(1), 0, "what was refused does not happen later");
    let badge = bench.inputs.iter().find(|input| matches!(input.happening, Happening::Tag { .. })).unwrap();
    let stale = badge.fresh(bench.now, STALE_AFTER).unwrap_err();
    assert!(stale.to_string().contains("2.5 s ago"), "{stale}");
}

#[test]
fn a_badge_that_waits_in_the_bridge_gets_stale_too() {
    let mut bench = Bench::adopted();
    bench.board.happen(Happening::Tag { reader: 0, uid: uid(1) }, bench.now);
    bench.until(100 * MS, |bench| !tags(bench).is_empty());
    let badge = bench.inputs.last().unwrap();
    assert_eq!(badge.fresh(bench.now + Duration::from_secs(1), STALE_AFTER), Ok(()));
    assert!(badge.fresh(bench.now + Duration::from_secs(3), STALE_AFTER).is_err());
}

#[test]
fn a_host_that_dies_leaves_outputs_safe_after_its_lease() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, None).unwrap();
    // Nothing is said any more, and nothing heard.
    bench.plugged = false;
    let took = bench.until(Duration::from_secs(4), |bench| bench.value(0) == 0);
    assert!(took <= 3100 * MS, "{took:?}");
}

#[test]
fn a_board_that_hangs_is_called_silent_in_words_and_comes_back() {
    let mut bench = Bench::adopted();
    bench.set(0, 1, None).unwrap();
    bench.deaf = true;
    let took = bench.until(Duration::from_secs(5), |bench| bench.session.status().phase == Phase::Silent);
    assert!(took <= 3020 * MS, "{took:?}");
    assert!(
        bench.session.status().words.contains("said nothing for 3.0 s"),
        "{}",
        bench.session.status().words
    );
    assert_eq!(bench.session.status().outputs[0], None);
    bench.deaf = false;
    let took = bench.until(Duration::from_secs(3), |bench| bench.is_adopted());
    assert!(took <= 600 * MS, "{took:?}");
    bench.until(100 * MS, |bench| bench.session.status().outputs[0] == Some(1));
}

#[test]
fn a_set_that_nobody_answers_is_given_up_and_not_done_later() {
    let mut bench = Bench::adopted();
    bench.deaf = true;
    let ticket = bench.session.set(0, 1, None, bench.now);
    assert!(matches!(bench.result(ticket), Err(RequestError::NoAnswer(_) | RequestError::Down(_))));
    bench.deaf = false;
    bench.pass(Duration::from_secs(10));
    assert!(bench.is_adopted());
    assert_eq!((bench.value(0), bench.board.outputs()[0].executed), (0, 0));
}

#[test]
fn what_was_wanted_before_a_set_that_came_to_nothing_is_wanted_again() {
    let mut bench = Bench::adopted();
    bench.set(1, 4, None).unwrap();
    // It reaches the board, but no answer comes back.
    bench.up.errors = 1_000_000;
    let ticket = bench.session.set(1, 2, None, bench.now);
    assert!(matches!(bench.result(ticket), Err(RequestError::NoAnswer(_) | RequestError::Down(_))));
    assert_eq!(bench.value(1), 2, "nobody could know");
    bench.up.errors = 0;
    bench.until(Duration::from_secs(3), |bench| bench.value(1) == 4);
}

#[test]
fn a_lease_that_the_contract_does_not_know_is_brought_into_its_bounds() {
    for lease in [Duration::ZERO, 100 * MS, Duration::from_secs(3600)] {
        let mut bench =
            Bench::with(SoftConfig::default(), SessionConfig { lease, ..SessionConfig::default() });
        bench.until(Duration::from_secs(1), |bench| bench.is_adopted());
        bench.pass(Duration::from_secs(10));
        assert_eq!(bench.session.status().adoptions, 1);
    }
}

#[test]
fn the_newest_set_wins_and_the_older_is_told_so() {
    let mut bench = Bench::adopted();
    let older = bench.session.set(0, 1, None, bench.now);
    let newer = bench.session.set(0, 0, None, bench.now);
    assert_eq!(bench.result(older), Err(RequestError::Superseded));
    assert_eq!(bench.result(newer), Ok(Answer::Value(0)));
    assert_eq!(bench.board.outputs()[0].executed, 1, "the older never left");
}

#[test]
fn what_a_lamp_is_to_show_is_kept_while_no_board_is_there() {
    let mut bench = Bench::new();
    bench.unplug();
    bench.session.show(1, 4, bench.now);
    bench.pass(Duration::from_secs(10));
    bench.plug();
    bench.until(250 * MS, |bench| bench.value(1) == 4);
    bench.board.reset(ResetCause::External, bench.now);
    bench.until(100 * MS, |bench| bench.value(1) == 4);
}

#[test]
fn refusals_of_the_board_come_back_in_words() {
    let mut bench = Bench::adopted();
    assert_eq!(bench.set(0, 2, None), Err(RequestError::Refused(Refusal::Arg)));
    assert_eq!(bench.set(7, 1, None), Err(RequestError::NoSuchOutput { output: 7, outputs: 4 }));
    let part = bench.session.part(40, bench.now);
    assert_eq!(bench.result(part), Err(RequestError::Refused(Refusal::Out)));
    let too_long = bench.session.set(0, 1, Some(Duration::from_secs(100_000)), bench.now);
    assert!(matches!(bench.result(too_long), Err(RequestError::DoesNotFit(_))));
    // And what was refused is not wanted any more.
    bench.board.reset(ResetCause::External, bench.now);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.board.outputs()[0].executed, 0);
}

#[test]
fn questions_are_answered() {
    let mut bench = Bench::adopted();
    let part = bench.session.part(3, bench.now);
    let Ok(Answer::Part(part)) = bench.result(part) else { panic!("a part") };
    assert_eq!((part.index, part.kind.as_str(), part.name.as_str()), (3, "relay", "latch"));
    let stats = bench.session.stats(bench.now);
    assert!(matches!(bench.result(stats), Ok(Answer::Stats(stats)) if stats.free_ram == 900));
    let name = bench.session.name("front-door", bench.now);
    bench.result(name).unwrap();
    bench.until(100 * MS, |bench| bench.hello().id == "front-door");
    let bad = bench.session.name("front door", bench.now);
    assert!(matches!(bench.result(bad), Err(RequestError::DoesNotFit(_))));
}

#[test]
fn a_later_protocol_is_refused_in_words_that_name_the_firmware() {
    let board = SoftConfig { protocol: 2, firmware: "soft-2.0".into(), ..SoftConfig::default() };
    let mut bench = Bench::with(board, SessionConfig::default());
    bench.until(Duration::from_secs(1), |bench| bench.session.status().phase == Phase::Refused);
    let words = bench.session.status().words.clone();
    assert!(words.contains("soft-2.0") && words.contains("protocol 2") && words.contains("flash"), "{words}");
    bench.pass(Duration::from_secs(60));
    assert!(!bench.board.adopted());
    let ticket = bench.session.set(0, 1, None, bench.now);
    assert_eq!(bench.result(ticket), Err(RequestError::Down(words)));
}

#[test]
fn silence_and_gibberish_are_told_apart_for_the_doctor() {
    let mut bench = Bench::new();
    bench.deaf = true;
    bench.until(Duration::from_secs(4), |bench| bench.session.status().phase == Phase::Silent);
    assert!(bench.session.status().words.contains("nothing speaks"));
    let mut bench = Bench::new();
    bench.deaf = true;
    bench.garbage(500);
    bench.until(Duration::from_secs(4), |bench| bench.session.status().phase == Phase::Silent);
    assert!(bench.session.status().words.contains("wrong baud"));
}

#[test]
fn never_more_bytes_are_under_way_than_the_board_can_take() {
    for buffer in [64, 100, 127] {
        let outputs = (0..9).map(|index| (OutputKind::Pixels, format!("o{index}").into())).collect();
        let board = SoftConfig { buffer, outputs, ..SoftConfig::default() };
        let mut bench = Bench::with(board, SessionConfig::default());
        bench.until(Duration::from_secs(1), |bench| bench.is_adopted());
        bench.down.most = 0;
        for turn in 0..200_u32 {
            let tickets: Vec<_> = (0..9)
                .map(|output| bench.session.set(output, turn * 10_000 + u32::from(output), None, bench.now))
                .collect();
            for ticket in tickets {
                bench.result(ticket).unwrap();
            }
        }
        assert!(bench.down.most <= usize::from(buffer), "{} of {buffer}", bench.down.most);
        assert!(
            bench.down.most > usize::from(buffer) / 2,
            "the window is used: {} of {buffer}",
            bench.down.most
        );
    }
}

#[test]
fn a_pile_of_inputs_that_nobody_fetches_is_bounded_and_comes_later() {
    let mut bench = Bench::adopted();
    bench.pass(100 * MS);
    bench.inputs.clear();
    // The session alone, its inputs not fetched: 50 events, of which 32 are taken.
    let boot = bench.hello().boot;
    let mut gots = 0;
    for seq in 1000..1050_u16 {
        let happening = Happening::Tag { reader: 0, uid: uid(u32::from(seq)) };
        let line = FromBoard::Event { age_ms: 0, happening }.encode(seq).unwrap();
        bench.session.receive(line.as_bytes(), bench.now);
        bench.now += 20 * MS;
        while let Some(line) = bench.session.transmit(bench.now) {
            gots += usize::from(line.as_bytes().windows(5).any(|part| part == b" got*"));
        }
    }
    let fetched: Vec<_> = std::iter::from_fn(|| bench.session.next_input()).collect();
    assert_eq!((fetched.len(), gots), (32, 32), "what is not taken is not answered");
    assert!(fetched.iter().all(|input| input.boot == boot));
}

#[test]
fn a_flapping_board_grows_nothing_and_ends_as_wanted() {
    let mut bench = Bench::adopted();
    for turn in 0..500_u32 {
        let now = bench.now;
        match turn % 4 {
            0 => drop(bench.session.set(0, turn / 4 % 2, None, now)),
            1 => bench.board.reset(ResetCause::Watchdog, now),
            2 => bench.unplug(),
            _ => bench.plug(),
        }
        bench.pass(Duration::from_millis(u64::from(turn * 37 % 170)));
    }
    bench.pass(Duration::from_secs(5));
    assert!(bench.is_adopted());
    bench.session.show(0, 1, bench.now);
    bench.until(Duration::from_secs(1), |bench| bench.value(0) == 1);
    assert_eq!(bench.results.len(), 125, "every request came to exactly one end");
}
