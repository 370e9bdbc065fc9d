//! The rack as it comes out for each grid, run on a stage against the bridge's own wire code.

use super::stage::{ADA, NOW, SECRET, Stage, URL, card};
use super::{make, script};
use primrack_lsl::vm::{Limits, ScriptId};
use primrack_lsl::{Profile, Script, Value};
use primrack_wire::world::{Dir, EventKind, Events, UpBody};
use std::path::Path;
use std::sync::Arc;

const PRIMS: [&str; 5] = ["frame", "unit 1", "Unit 02 mail", "box", "unit 7"];

fn rack(profile: Profile) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lsl-scripts");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    script(&read, "objects/rack/rack.lsl", profile).unwrap().0
}

fn stage(profile: Profile) -> Stage {
    Stage::new(&rack(profile), profile, &card(), &PRIMS)
}

fn registered(profile: Profile) -> Stage {
    let mut stage = stage(profile);
    stage.register();
    stage
}

fn events(body: UpBody) -> Events {
    match body {
        UpBody::Events(events) => events,
        UpBody::Register(_) => panic!("a registration, not events"),
    }
}

#[test]
fn a_rack_registers_with_its_units_by_name_and_link_on_every_grid() {
    for profile in Profile::ALL {
        let mut stage = stage(profile);
        stage.run();
        stage.tick(4);
        stage.grant(URL);
        let (request, _, seq, body) = stage.call();
        let UpBody::Register(told) = body else { panic!("{profile}: no registration") };
        assert_eq!((told.url.as_str(), told.grid.as_str()), (URL, profile.name()));
        assert_eq!(String::from(told.units), "0-3,7", "{profile}");
        assert_eq!(told.region, "Prim \"rack\"");
        // The bridge's clock is ahead: the next message is right by it.
        let ahead = stage.sealed(Dir::Answer, seq, NOW + 900, r#"{"refused":"skew","say":"","last":0}"#);
        stage.raw_answer(&request, 200, &ahead);
        let (_, message) = stage.world.calls.pop().unwrap();
        let time: i64 = message.split(' ').nth(6).unwrap().parse().unwrap();
        assert!((895..=905).contains(&(time - NOW)), "{profile}: {time}");
    }
}

#[test]
fn the_frozen_examples_hold_in_every_grid_that_can_compute_their_form() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/world-1.json");
    let examples: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut tried = 0;
    for profile in Profile::ALL {
        for example in examples["vectors"].as_array().unwrap() {
            let message = example["message"].as_str().unwrap();
            let head: Vec<&str> = message.split('\n').next().unwrap().split(' ').collect();
            let mut stage = stage(profile);
            if head.get(1) != Some(&"push") || head.get(8) != Some(&stage.form().token()) {
                continue;
            }
            stage.run();
            stage.world.now = head[6].parse().unwrap_or(NOW);
            let (status, answered) = stage.post_to_url(message);
            let holds = example["holds"].as_bool().unwrap();
            assert_eq!(status == 200, holds, "{profile}, {}: {answered}", example["name"]);
            tried += 1;
        }
    }
    assert!(tried >= 4, "an example of a push for each grid, {tried} tried");
}

#[test]
fn a_push_is_drawn_acknowledged_and_taken_once() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        let body = format!(
            r#"{{"list":[{{"u":1,"s":"on","l":"web-1","w":"On","n":"since 14:02","m":1}},{{"u":2,"s":"crashed","l":"é","w":"Crashed","n":"{}","o":1}},{{"u":99,"s":"on","l":"x","w":"x"}}],"tell":[{{"who":"{ADA}","say":"say {{\"a\":1}} \/ \\ ü€"}}]}}"#,
            "ü€😀".repeat(60)
        );
        assert_eq!(stage.push(1, &body), "{}", "{profile}");
        assert_eq!(stage.world.text[&2], "web-1\nOn (simulated)\nsince 14:02");
        assert!(
            stage.world.text[&3].starts_with("last known:\né\nCrashed\nü€"),
            "{:?}",
            stage.world.text[&3]
        );
        assert_eq!(stage.world.said, [(ADA.to_owned(), "say {\"a\":1} / \\ ü€".to_owned())]);
        assert_eq!(stage.push(1, &body), r#"{"refused":"old","boot":3,"last":1}"#);
        assert_eq!(stage.world.said.len(), 1, "{profile}: nothing is told twice");
    }
}

#[test]
fn a_push_that_does_not_hold_draws_nothing() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        let drawn = stage.world.draws;
        let good =
            stage.sealed(Dir::Push, 5, stage.world.now, r#"{"list":[{"u":1,"s":"on","l":"l","w":"w"}]}"#);
        let cases = [
            (good[..good.len() - 1].to_owned(), "truncated"),
            (good.replacen(" 5 ", " 6 ", 1), "forged"),
            (good.replacen(" rack-1 ", " rack-2 ", 1), "unknown-object"),
            (good.replacen("primrack/1", "primrack/2", 1), "version"),
            (stage.sealed(Dir::Answer, 5, stage.world.now, "{}"), "malformed"),
            ("hello".to_owned(), "malformed"),
            (String::new(), "malformed"),
            ("\n\n".to_owned(), "malformed"),
        ];
        for (message, reason) in cases {
            assert_eq!(
                stage.post_to_url(&message),
                (403, format!("primrack/1 refused {reason}")),
                "{profile}: {message:?}"
            );
        }
        let late = stage.sealed(Dir::Push, 5, stage.world.now - 121, "{}");
        assert!(stage.post_to_url(&late).1.ends_with(r#"{"refused":"skew"}"#));
        assert_eq!(stage.world.draws, drawn, "{profile}");
        assert!(matches!(stage.call().3, UpBody::Register(_)), "a wrong clock makes it register");
        assert_eq!(stage.push(5, "{}"), "{}", "the number was not used up");
    }
}

#[test]
fn awkward_names_and_lines_reach_the_bridge_as_they_are() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        let name = r#"Ada {"admin":true} [1] \ " \" / ü😀"#;
        stage.touch(ADA, name, 2);
        let (request, _, seq, body) = stage.call();
        let told = events(body);
        let EventKind::Touch { unit, who, name: got } = &told.list[0].kind else { panic!("{told:?}") };
        assert_eq!((*unit, who.as_str(), got.as_str()), (1, ADA, name), "{profile}");
        let id = told.list[0].id.as_str();
        stage.answer(&request, seq, &format!(
            r#"{{"list":[{{"id":"{id}","verdict":"ask","who":"{ADA}","menu":"q1","say":"Why?","for":30}}]}}"#
        ));
        let (who, words, buttons, channel) = stage.world.dialogs.pop().unwrap();
        assert_eq!((who.as_str(), words.as_str(), buttons.len()), (ADA, "Why?", 0));
        assert!(channel < 0);
        stage.hear(channel, ADA, &format!("one\ntwo \\\" {{\"a\":1}}{}", "é".repeat(300)));
        let EventKind::Line { text, menu, .. } = &events(stage.call().3).list[0].kind else {
            panic!("no line")
        };
        assert!(text.starts_with(r#"one two \" {"a":1}é"#) && text.len() <= 256, "{profile}: {text}");
        assert_eq!(menu, "q1");
    }
}

#[test]
fn a_menu_takes_only_what_it_offered_and_ends_with_its_time() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        stage.touch(ADA, "Ada", 2);
        let (request, _, seq, body) = stage.call();
        let id = events(body).list[0].id.as_str().to_owned();
        let menu = format!(
            r#"{{"list":[{{"id":"{id}","verdict":"menu","who":"{ADA}","menu":"m","say":"web-1 is off.","pick":["Start","Hard off","7","Log"],"for":60}}]}}"#
        );
        stage.answer(&request, seq, &menu);
        let (_, _, buttons, channel) = stage.world.dialogs.pop().unwrap();
        // From the bottom row up: Start and Hard off stand on top, Close at the lower right.
        assert_eq!(buttons, ["7", "Log", "Close", "Start", "Hard off"], "{profile}");
        assert_eq!(stage.world.listens.values().collect::<Vec<_>>(), [&(channel, ADA.to_owned())]);
        stage.hear(channel, ADA, "Destroy");
        assert!(stage.world.calls.is_empty(), "what was not offered is not passed on");
        stage.hear(channel, ADA, "7");
        let EventKind::Choose { pick, menu: of, .. } = &events(stage.call().3).list[0].kind else { panic!() };
        assert_eq!((pick.as_str(), of.as_str()), ("7", "m"));
        assert!(stage.world.listens.is_empty());
    }
    let mut stage = registered(Profile::SecondLife);
    stage.touch(ADA, "Ada", 2);
    let (request, _, seq, body) = stage.call();
    let id = events(body).list[0].id.as_str().to_owned();
    let menu = format!(
        r#"{{"list":[{{"id":"{id}","verdict":"menu","who":"{ADA}","menu":"m","say":"","pick":["A"],"for":20}}]}}"#
    );
    stage.answer(&request, seq, &menu);
    stage.tick(19);
    assert_eq!(stage.world.listens.len(), 1);
    stage.tick(2);
    assert!(stage.world.listens.is_empty(), "an ignored menu ends with its time");
}

#[test]
fn a_lost_answer_brings_the_same_event_again_and_what_waited_comes_along() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        stage.touch(ADA, "Ada", 2);
        let (request, _, first, body) = stage.call();
        let id = events(body).list[0].id.clone();
        stage.touch(ADA, "Ada", 3);
        assert!(stage.world.calls.is_empty(), "{profile}: one call is out at a time");
        stage.tick(1);
        assert_eq!(stage.world.said.len(), 2, "both are told that it takes longer: {:?}", stage.world.said);
        stage.raw_answer(&request, 502, "<html>bad gateway</html>");
        assert!(stage.world.calls.is_empty(), "not at once");
        stage.wait_for_call(20);
        let (request, _, second, body) = stage.call();
        let again = events(body);
        assert!(second > first);
        assert_eq!((again.list.len(), &again.list[0].id), (2, &id), "{profile}");
        // An answer to something else is no answer.
        let entry = format!(
            r#"{{"list":[{{"id":"{}","verdict":"accepted","who":"{ADA}","say":"Old."}}]}}"#,
            id.as_str()
        );
        let old = stage.sealed(Dir::Answer, first, stage.world.now, &entry);
        stage.raw_answer(&request, 200, &old);
        assert!(!stage.world.said.iter().any(|(_, words)| words == "Old."), "{profile}");
        stage.wait_for_call(120);
        let (request, _, third, body) = stage.call();
        let list: Vec<String> = events(body)
            .list
            .iter()
            .map(|e| {
                format!(r#"{{"id":"{}","verdict":"accepted","who":"{ADA}","say":"Done."}}"#, e.id.as_str())
            })
            .collect();
        stage.world.said.clear();
        stage.answer(&request, third, &format!(r#"{{"list":[{}]}}"#, list.join(",")));
        assert_eq!(stage.world.said.len(), 2);
        stage.tick(5);
        assert!(stage.world.calls.is_empty(), "{profile}: nothing is left");
    }
}

#[test]
fn a_throttled_rack_keeps_touches_for_three_minutes_and_says_when_it_gives_up() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        stage.push(1, r#"{"list":[{"u":1,"s":"on","l":"web-1","w":"On"}]}"#);
        stage.world.throttled = true;
        stage.touch(ADA, "Ada", 2);
        stage.tick(185);
        let last = &stage.world.said.last().unwrap().1;
        assert!(last.contains("throttles") && last.contains("Nothing was done"), "{profile}: {last}");
        assert_eq!(stage.world.text[&2], "last known:\nweb-1\nOn", "{profile}");
        assert_eq!(stage.world.text[&1], "no contact with the bridge");
        for n in 0..30 {
            stage.touch(&format!("bbbbbbbb-0000-4000-8000-{n:012}"), "Bo", 2);
        }
        let refused = stage.world.said.iter().filter(|(_, words)| words.starts_with("Too much")).count();
        let room = if profile == Profile::SecondLife { 8 } else { 24 };
        assert_eq!(30 - refused, room, "{profile}");
        stage.world.throttled = false;
        stage.wait_for_call(120);
        let mut sent = 0;
        while !stage.world.calls.is_empty() {
            let (request, _, seq, body) = stage.call();
            let UpBody::Events(told) = body else {
                stage.answer(&request, seq, r#"{"ok":"registered","renew":600}"#);
                continue;
            };
            sent += told.list.len();
            let list: Vec<String> = told
                .list
                .iter()
                .map(|e| format!(r#"{{"id":"{}","verdict":"noted"}}"#, e.id.as_str()))
                .collect();
            stage.answer(&request, seq, &format!(r#"{{"list":[{}]}}"#, list.join(",")));
        }
        assert_eq!(sent, room, "{profile}");
        assert_eq!(stage.world.text[&1], "", "the root says no more that there is no contact");
    }
}

#[test]
fn a_restarted_region_gives_one_new_url_however_many_events_tell_of_it() {
    for profile in Profile::ALL {
        let mut stage = registered(profile);
        for _ in 0..2 {
            stage.event("changed", vec![Value::Integer(1024)]);
        }
        assert_eq!(stage.world.released, [URL]);
        stage.tick(12);
        let stranger = [
            Value::key("99999999-0000-4000-8000-000000000000"),
            Value::str("URL_REQUEST_GRANTED"),
            Value::str("http://sim.example/old/"),
        ];
        stage.event("http_request", stranger.to_vec());
        assert_eq!(
            stage.world.released.last().unwrap(),
            "http://sim.example/old/",
            "a late grant is given back"
        );
        stage.grant("http://sim.example/new/");
        let UpBody::Register(told) = stage.call().3 else { panic!("{profile}: no registration") };
        assert_eq!(told.url, "http://sim.example/new/");
    }
}

#[test]
fn mistakes_in_the_notecard_are_told_by_line_without_the_key() {
    for profile in Profile::ALL {
        let card =
            format!("id = rack 1\nkey = a.{}\nnonsense\ntext height = 9\ncolour = red\n", &SECRET[..31]);
        let mut stage = Stage::new(&rack(profile), profile, &card, &PRIMS);
        stage.run();
        for (line, words) in
            [(1, "id has at most"), (2, "32 to 128"), (3, "key = value"), (4, "0 to 8"), (5, "`colour`")]
        {
            let start = format!("rack.conf, line {line}: ");
            let told = stage.world.owner.iter().find(|w| w.starts_with(&start));
            assert!(told.is_some_and(|w| w.contains(words)), "{profile}: {:?}", stage.world.owner);
        }
        assert!(
            stage.world.owner.last().unwrap().contains("lacks: id key bridge"),
            "{:?}",
            stage.world.owner
        );
        stage.touch(ADA, "Ada", 2);
        assert!(stage.world.said[0].1.contains("not set up yet"));
        // Saved anew, it is read anew.
        stage.world.notecard = super::stage::card();
        stage.event("changed", vec![Value::Integer(1)]);
        assert!(stage.world.owner.last().unwrap().starts_with("rack.conf is read: rack rack-1"));
    }
}

#[test]
fn what_stands_in_the_way_is_told_to_the_owner_with_its_remedy() {
    for profile in Profile::ALL {
        let mut stage = stage(profile);
        stage.run();
        stage.tick(4);
        let request = stage.world.url_requests.remove(0);
        let denied = ["URL_REQUEST_DENIED", "no more"].map(Value::str);
        stage.event("http_request", [vec![Value::key(request.as_str())], denied.to_vec()].concat());
        let told = stage.world.owner.last().unwrap();
        assert_eq!(told.contains("ExternalHostNameForLSL"), profile.is_opensim(), "{told}");
        stage.touch(ADA, "Ada", 2);
        assert!(stage.world.said.pop().unwrap().1.contains("no address"), "{profile}");
        stage.world.filtered = true;
        stage.tick(61);
        stage.grant(URL);
        let told = stage.world.owner.last().unwrap();
        let line = "OutboundDisallowForUserScriptsExcept = bridge.example:8480";
        assert_eq!(told.ends_with(line), profile.is_opensim(), "{told}");
        stage.world.filtered = false;
        stage.wait_for_call(60);
        let (request, _, _, _) = stage.call();
        stage.raw_answer(&request, 403, "primrack/1 refused unknown-key no key a of rack-1 is valid");
        let told = stage.world.owner.last().unwrap();
        assert_eq!(told, "The bridge refused unknown-key no key a of rack-1 is valid", "{profile}");
        // Twice more, and the rack itself says that it is on its own. Five minutes, and up to half as long again by chance.
        for _ in 0..2 {
            stage.wait_for_call(460);
            let (request, _, _, _) = stage.call();
            stage.raw_answer(&request, 403, "primrack/1 refused unknown-key no key a of rack-1 is valid");
        }
        assert_eq!(stage.world.text[&1], "no contact with the bridge", "{profile}");
        stage.wait_for_call(460);
        let (request, _, seq, _) = stage.call();
        stage.answer(
            &request,
            seq,
            r#"{"refused":"copy","say":"rack-1 stands in Harbour already","last":0}"#,
        );
        stage.touch("bbbbbbbb-0000-4000-8000-000000000001", "Bo", 2);
        assert_eq!(
            stage.world.said.last().unwrap().1,
            "The bridge does not take this rack: rack-1 stands in Harbour already",
            "{profile}"
        );
    }
}

#[test]
fn a_rack_of_255_units_stays_within_a_script_s_memory() {
    let names: Vec<String> =
        (0..256).map(|n| if n == 0 { "frame".into() } else { format!("unit {n}") }).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stage = Stage::new(&rack(Profile::SecondLife), Profile::SecondLife, &card(), &names);
    // Less than there is: how a grid counts is only roughly known.
    let limits = Limits { memory: 60 * 1024, ..Limits::of(Profile::SecondLife) };
    stage.script = Script::new(Arc::clone(stage.script.program()), ScriptId(1)).with_limits(limits);
    stage.register();
    stage.world.throttled = true;
    for n in 0..30 {
        stage.touch(&format!("bbbbbbbb-0000-4000-8000-{n:012}"), "A Name Of Usual Length", 2);
    }
    assert_eq!(stage.script.global("gCount"), Some(&Value::Integer(8)), "as many touches wait as may");
    for seq in 1..=13_u32 {
        let list: Vec<String> = (0..20)
            .map(|n| {
                format!(
                    r#"{{"u":{},"s":"on","l":"a label of some length","w":"On","n":"since 14:02"}}"#,
                    ((seq - 1) * 20 + n) % 256
                )
            })
            .collect();
        stage.push(seq, &format!(r#"{{"list":[{}]}}"#, list.join(",")));
    }
    assert_eq!(stage.world.text.len(), 256);
}

#[test]
fn the_notecards_that_are_handed_out_are_understood_but_for_their_keys() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lsl-scripts");
    let (made, warnings) = make(&folder).unwrap();
    assert_eq!(warnings, "");
    let text =
        |path: String| &made.iter().find(|r| r.path == path).unwrap_or_else(|| panic!("no {path}")).text;
    let objects = [
        ("door", "leaf"),
        ("switch", "rocker"),
        ("lamp", "bulb"),
        ("alarm", "beacon"),
        ("letter-box", "flag"),
    ];
    for profile in Profile::ALL {
        let mut told = Vec::new();
        let racks: &[&str] = &PRIMS;
        let things = objects.map(|(object, part)| (object, vec!["frame", part, "light"]));
        for (object, prims) in std::iter::once(("rack", racks.to_vec())).chain(things) {
            let card = text(format!("{profile}/{object}/{object}.conf"));
            let card = card.replace("= a.SECRET", &format!("= a.{SECRET}"));
            let mut stage =
                Stage::new(text(format!("{profile}/{object}/{object}.lsl")), profile, &card, &prims);
            stage.run();
            told.append(&mut stage.world.owner);
            text(format!("{profile}/{object}/README.md"));
        }
        assert_eq!(
            told,
            [
                "rack.conf is read: rack rack-1, units 0-3,7.",
                "door.conf is read: door door-1, units 1.",
                "switch.conf is read: switch switch-1, units 1.",
                "lamp.conf is read: lamp lamp-1, units 1.",
                "alarm.conf is read: alarm alarm-1, units 1.",
                "letter-box.conf is read: letter-box letter-box-1, units 1.",
            ],
            "{profile}"
        );
    }
}
