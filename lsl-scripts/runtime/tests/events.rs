//! Queue, states, sleeps, detection, and what contains a script that misbehaves.

use primrack_lsl::host::{Host, HostReturn};
use primrack_lsl::library::LinksetData;
use primrack_lsl::tables::Function;
use primrack_lsl::vm::{Detected, Limits, Posted, ScriptId};
use primrack_lsl::{ErrorKind, Event, Outcome, Profile, RuntimeError, Script, Value, check};

/// A world that writes down what is said.
#[derive(Default)]
struct World {
    said: Vec<String>,
    states: usize,
    resets: usize,
    data: LinksetData,
}

impl Host for World {
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError> {
        match (function.name, args) {
            ("llOwnerSay", [Value::Str(s)]) => self.said.push(s.to_string()),
            ("llSetPos" | "llSetText", _) => {}
            _ => return Err(RuntimeError::unsupported(function.name)),
        }
        Ok(HostReturn::void())
    }

    fn unix_time(&mut self) -> f64 {
        0.0
    }

    fn random(&mut self) -> f64 {
        0.5
    }

    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.data
    }

    fn linkset_data_changed(&mut self, _: i32, _: &str, _: &str) {}

    fn state_changed(&mut self) {
        self.states += 1;
    }

    fn script_reset(&mut self) {
        self.resets += 1;
    }
}

fn script(profile: Profile, source: &str) -> Script {
    let program = check(source, profile).unwrap_or_else(|d| panic!("{}", d.render("test", source)));
    Script::new(program, ScriptId(1))
}

fn touch(name: &str, who: &str) -> Event {
    Event::with_detected(name, vec![Detected { name: who.into(), key: who.into(), ..Detected::default() }])
        .expect("a known event")
}

fn message(n: i32) -> Event {
    Event::new("link_message", vec![Value::Integer(1), Value::Integer(n)]).expect("a known event")
}

const SLICE: u64 = 10_000;

#[test]
fn second_life_keeps_64_events_and_opensim_64_of_each_kind() {
    let source = "default { state_entry() { llSleep(4.0); } link_message(integer s, integer n, string t, key k) { llOwnerSay((string)n); }
        listen(integer c, string n, key i, string m) { llOwnerSay(m); } }";
    for (profile, listens) in [(Profile::SecondLife, 0), (Profile::OpenSim092, 64)] {
        let mut w = World::default();
        let mut s = script(profile, source);
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(4.0));
        let posted: Vec<Posted> = (0..150).map(|n| s.post(message(n))).collect();
        assert_eq!(posted.iter().filter(|p| **p == Posted::Queued).count(), 64);
        assert_eq!(posted[64], Posted::Dropped);
        let kept =
            (0..150).filter(|_| s.post(Event::new("listen", vec![]).unwrap()) == Posted::Queued).count();
        assert_eq!(kept, listens);
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
        assert_eq!(w.said.len(), 64 + listens);
        assert_eq!(w.said[..2], ["0", "1"]);
    }
}

#[test]
fn one_timer_waits_and_unhandled_events_are_ignored() {
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s =
            script(profile, "default { state_entry() { llSleep(1.0); } timer() { llOwnerSay(\"tick\"); } }");
        s.run_slice(&mut w, SLICE);
        assert_eq!(s.post(Event::new("timer", vec![]).unwrap()), Posted::Queued);
        assert_eq!(s.post(Event::new("timer", vec![]).unwrap()), Posted::Merged);
        assert_eq!(s.post(message(1)), Posted::Ignored);
        s.run_slice(&mut w, SLICE);
        assert_eq!(w.said, ["tick"]);
    }
}

#[test]
fn touches_that_wait_come_together_on_second_life_and_one_by_one_in_opensim() {
    let source = "default { state_entry() { llSleep(1.0); } touch_start(integer n) { integer i; string all;
        for (i = 0; i < n; ++i) all += llDetectedName(i); llOwnerSay((string)n + all); } }";
    for (profile, said) in [(Profile::SecondLife, vec!["2ab"]), (Profile::OpenSim093, vec!["1a", "1b", "1b"])]
    {
        let mut w = World::default();
        let mut s = script(profile, source);
        s.run_slice(&mut w, SLICE);
        for who in ["a", "b", "b"] {
            s.post(touch("touch_start", who));
        }
        s.run_slice(&mut w, SLICE);
        assert_eq!(w.said, said);
    }
}

#[test]
fn detection_outside_an_event_gives_what_the_grid_gives() {
    let source = "default { state_entry() { llOwnerSay((string)llDetectedKey(0) + llDetectedName(0) + (string)llDetectedTouchFace(0)); } }";
    for (profile, said) in
        [(Profile::SecondLife, "00000000-0000-0000-0000-000000000000-1"), (Profile::OpenSim092, "-1")]
    {
        let mut w = World::default();
        script(profile, source).run_slice(&mut w, SLICE);
        assert_eq!(w.said, [said]);
    }
}

#[test]
fn a_state_change_clears_the_queue_and_tells_the_world() {
    let source = "default { touch_start(integer n) { llOwnerSay(\"in\"); state b; } state_exit() { llOwnerSay(\"out\"); } }
        state b { state_entry() { llOwnerSay(\"b\"); } touch_start(integer n) { llOwnerSay(\"again\"); } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(profile, source);
        s.run_slice(&mut w, SLICE);
        for who in 0..20 {
            s.post(touch("touch_start", &who.to_string()));
            s.post(touch("touch_start", &format!("x{who}")));
        }
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
        assert_eq!(
            (w.said.as_slice(), w.states, s.state()),
            (&["in", "out", "b"].map(String::from)[..], 1, "b")
        );
    }
}

#[test]
fn a_state_change_inside_a_function_unwinds_the_handler() {
    let source = "go() { if (TRUE) state b; llOwnerSay(\"never\"); } default { state_entry() { go(); llOwnerSay(\"never\"); } }
        state b { state_entry() { llOwnerSay(\"b\"); } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        script(profile, source).run_slice(&mut w, SLICE);
        assert_eq!(w.said, ["b"]);
    }
}

#[test]
fn a_sleeping_script_goes_on_where_it_was_with_its_variables() {
    let source = "integer f(integer n) { llSleep(0.5); return n * 2; }
        default { state_entry() { integer i; for (i = 1; i < 3; ++i) llOwnerSay((string)(f(i) + i)); llSetPos(<1, 2, 3>); llOwnerSay(\"end\"); } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(profile, source);
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(0.5));
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(0.5));
        // The forced sleep of llSetPos, from the table.
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(0.2));
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
        assert_eq!(w.said, ["3", "6", "end"]);
    }
}

#[test]
fn the_result_does_not_depend_on_where_slices_end() {
    let source = "integer fib(integer n) { if (n < 2) return n; return fib(n - 1) + fib(n - 2); }
        default { state_entry() { string t; integer i; for (i = 0; i < 50; ++i) t += (string)fib(i % 9); llOwnerSay(t); } }";
    for profile in Profile::ALL {
        let mut whole = World::default();
        assert_eq!(script(profile, source).run_slice(&mut whole, u64::MAX), Outcome::Idle);
        for budget in [1, 64, 65, 97, 1000] {
            let mut w = World::default();
            let mut s = script(profile, source);
            let mut slices = 0;
            while s.run_slice(&mut w, budget) == Outcome::Preempted {
                slices += 1;
            }
            assert!(slices > 3);
            assert_eq!(w.said, whole.said);
        }
    }
}

#[test]
fn a_runaway_is_stopped_and_named() {
    for profile in Profile::ALL {
        let limits = Limits { runaway: 1_000_000, ..Limits::of(profile) };
        let mut s = script(profile, "default {\n state_entry() {\n while (TRUE) ;\n } }").with_limits(limits);
        let mut w = World::default();
        let mut slices = 0;
        let end = loop {
            match s.run_slice(&mut w, SLICE) {
                Outcome::Preempted => slices += 1,
                end => break end,
            }
        };
        let Outcome::Stopped(e) = end else { panic!("{end:?}") };
        assert_eq!((e.kind, e.line), (ErrorKind::Runaway, 3));
        assert!(slices >= 90, "{slices}");
        assert_eq!(s.post(message(1)), Posted::Stopped);
        // A loop that sleeps is none.
        let mut s =
            script(profile, "default { state_entry() { while (TRUE) llSleep(1.0); } }").with_limits(limits);
        for _ in 0..100_000 {
            assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(1.0));
        }
    }
}

#[test]
fn states_and_resets_that_never_end_are_runaways_too() {
    for (source, line, what) in [
        (
            "default {\n state_entry() {\n state b; } }\nstate b { state_entry() { state default; } }",
            3,
            "states",
        ),
        (
            "default { state_entry() { state b; } } state b {\n state_exit() { state b; }\n state_entry() { state default; } }",
            3,
            "states",
        ),
        ("default {\n state_entry() {\n llResetScript(); } }", 3, "resets"),
    ] {
        for profile in Profile::ALL {
            let mut w = World::default();
            let mut s = script(profile, source);
            let mut slices = 0;
            let end = loop {
                match s.run_slice(&mut w, 20_000) {
                    Outcome::Preempted => slices += 1,
                    end => break end,
                }
            };
            let Outcome::Stopped(e) = end else { panic!("{source}: {end:?}") };
            assert_eq!(e.kind, ErrorKind::Runaway, "{source}");
            assert!((1..=line).contains(&e.line) && e.message.contains(what), "{source}: {e:?}");
            assert!((20..2_000).contains(&slices), "{slices}");
        }
    }
    // Two states that change into each other at each event, or sleep between, are none.
    let source = "default { state_entry() { llSleep(0.5); state b; } } state b { touch_start(integer n) { state default; } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        let limits = Limits { runaway: 100_000, ..Limits::of(profile) };
        let mut s = script(profile, source).with_limits(limits);
        for _ in 0..1_000 {
            assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Sleeping(0.5));
            assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
            s.post(touch("touch_start", "a"));
        }
    }
}

#[test]
fn a_memory_hog_ends_in_a_stack_heap_collision() {
    for body in [
        "list l; while (TRUE) l += [1, 2.0, \"three\"];",
        "string s = \"x\"; while (TRUE) s += s;",
        "while (TRUE) g += (string)llGetListLength(h) + \"some more text each time\";",
        "while (TRUE) h += h + [0];",
        "h = [1]; while (TRUE) h = llListInsertList(h, h, 0);",
        "deep(1);",
    ] {
        let source = format!(
            "string g; list h; integer deep(integer n) {{ return deep(n + 1) + 1; }} default {{ state_entry() {{ {body} }} }}"
        );
        for profile in Profile::ALL {
            let mut w = World::default();
            let mut s = script(profile, &source);
            let end = s.run_slice(&mut w, 20_000_000);
            let Outcome::Stopped(e) = end else { panic!("{profile} {body}: {end:?}") };
            assert!(matches!(e.kind, ErrorKind::StackHeapCollision | ErrorKind::CallDepth), "{body}: {e:?}");
            assert!(s.footprint() < 64 << 20, "{body}: {}", s.footprint());
        }
    }
}

#[test]
fn long_values_use_up_a_slice_in_proportion() {
    for profile in Profile::ALL {
        let source = "default { state_entry() { string s = \"x\"; while (TRUE) { s = \"y\" + s; if (llStringLength(s) > 9000) s = \"x\"; } } }";
        let mut w = World::default();
        let mut s = script(profile, source);
        assert_eq!(s.run_slice(&mut w, 10_000), Outcome::Preempted);
        // Without that, a slice of this size would copy some ten megabytes.
        assert!(s.memory_used() < 32_000, "{}", s.memory_used());
    }
}

#[test]
fn garbage_does_not_count_as_memory() {
    for profile in Profile::ALL {
        let mut w = World::default();
        let source = "default { state_entry() { integer i; for (i = 0; i < 200000; ++i) { string s = \"some text \" + (string)i; list l = [s, s]; }
            llOwnerSay((string)(llGetUsedMemory() < 16384)); } }";
        assert_eq!(script(profile, source).run_slice(&mut w, u64::MAX), Outcome::Idle);
        assert_eq!(w.said, ["1"]);
    }
}

#[test]
fn a_flood_of_10000_events_costs_64_places() {
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(
            profile,
            "default { link_message(integer s, integer n, string t, key k) { llOwnerSay(\"\"); } }",
        );
        s.run_slice(&mut w, SLICE);
        for n in 0..10_000 {
            s.post(message(n));
        }
        assert_eq!(s.queued(), 64);
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
        assert_eq!(w.said.len(), 64);
        assert!(s.footprint() < 8 << 10);
    }
}

#[test]
fn an_idle_script_is_small_and_shares_its_program() {
    let source = "integer a; integer b = 2; string s = \"hello\"; list l = [1, 2, 3]; key k; vector v;
        default { state_entry() { string big; integer i; for (i = 0; i < 1000; ++i) big += \"0123456789\"; l += big; l = []; }
        touch_start(integer n) { a += b; s += (string)k + (string)v; } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(profile, source);
        assert_eq!(s.run_slice(&mut w, u64::MAX), Outcome::Idle);
        assert!(s.footprint() < 1024, "{}", s.footprint());
        let copy = Script::new(std::sync::Arc::clone(s.program()), ScriptId(2));
        assert!(std::sync::Arc::ptr_eq(s.program(), copy.program()));
    }
}

#[test]
fn what_the_world_lacks_stops_the_script_and_is_named_and_reset_revives_it() {
    let source =
        "integer n; default { state_entry() { n = 5; } touch_start(integer i) {\n llSetVehicleType(1); } }";
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(profile, source);
        s.run_slice(&mut w, SLICE);
        s.post(touch("touch_start", "a"));
        let Outcome::Stopped(e) = s.run_slice(&mut w, SLICE) else { panic!() };
        assert_eq!((e.kind, e.line), (ErrorKind::Unsupported, 2));
        assert!(e.message.contains("llSetVehicleType"), "{e}");
        assert_eq!(s.error(), Some(&e));
        s.reset();
        assert_eq!(s.global("n"), Some(&Value::Integer(0)));
        assert_eq!(s.run_slice(&mut w, SLICE), Outcome::Idle);
        assert_eq!(s.global("n"), Some(&Value::Integer(5)));
    }
}

#[test]
fn a_script_that_resets_itself_tells_the_world() {
    for profile in Profile::ALL {
        let mut w = World::default();
        let mut s = script(
            profile,
            "default { state_entry() { llOwnerSay(\"up\"); } touch_start(integer n) { llResetScript(); llOwnerSay(\"never\"); } }",
        );
        s.run_slice(&mut w, SLICE);
        s.post(touch("touch_start", "a"));
        s.run_slice(&mut w, SLICE);
        assert_eq!((w.said.len(), w.resets), (2, 1));
    }
}
