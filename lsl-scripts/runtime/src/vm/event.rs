//! Events and the queue in front of a script.
//!
//! Second Life keeps 64 events in all, OpenSimulator 64 of each kind; what comes on top is lost. One timer event waits at
//! most. Second Life puts touches and collisions that wait into one event with several things detected.

use crate::profile::Profile;
use crate::tables::{self, EventId};
use crate::value::{NULL_KEY, Text, Value};
use std::collections::VecDeque;

/// Something that touched, collided or was found: what `llDetectedKey(i)` and its relatives tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// UUID of the avatar or object.
    pub key: Text,
    /// Its name.
    pub name: Text,
    /// UUID of its owner; an avatar owns itself.
    pub owner: Text,
    /// Whether it has the script's object's group active.
    pub same_group: bool,
    /// Bits `AGENT`, `ACTIVE`, `PASSIVE`, `SCRIPTED`.
    pub kind: i32,
    /// Link number of the touched or hit part of the script's own linkset; 0 for none.
    pub link: i32,
    /// Position in the region, metres.
    pub position: [f64; 3],
    /// Metres per second.
    pub velocity: [f64; 3],
    /// Rotation.
    pub rotation: [f64; 4],
    /// Offset of a drag, metres.
    pub grab: [f64; 3],
    /// Where the touch was, if it is one and the viewer told.
    pub touch: Option<TouchPoint>,
}

impl Default for Detected {
    fn default() -> Self {
        let null = || Text::from(NULL_KEY);
        Self {
            key: null(),
            name: Text::default(),
            owner: null(),
            same_group: false,
            kind: 0,
            link: 0,
            position: [0.0; 3],
            velocity: [0.0; 3],
            rotation: [0.0, 0.0, 0.0, 1.0],
            grab: [0.0; 3],
            touch: None,
        }
    }
}

/// The point of a surface that was touched.
#[derive(Debug, Clone, PartialEq)]
pub struct TouchPoint {
    /// Face number, -1 if unknown.
    pub face: i32,
    /// Texture coordinates.
    pub uv: [f64; 3],
    /// Surface coordinates.
    pub st: [f64; 3],
    /// Position in the region, metres.
    pub position: [f64; 3],
    /// Direction the surface faces.
    pub normal: [f64; 3],
    /// Direction along the surface.
    pub binormal: [f64; 3],
}

/// An event on its way to a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Which one.
    pub id: EventId,
    /// Its arguments, with the count and types of [`EventId::sig`].
    pub args: Vec<Value>,
    /// What was detected, for touches, collisions and sensors.
    pub detected: Vec<Detected>,
}

impl Event {
    /// An event by name. Arguments that are missing get their types' defaults, so that a handler can rely on them.
    /// `None` if no grid has an event of that name.
    #[must_use]
    pub fn new(name: &str, mut args: Vec<Value>) -> Option<Self> {
        let id = tables::event(name)?;
        let params = &id.sig().params;
        args.truncate(params.len());
        for p in &params[args.len()..] {
            args.push(p.ty.default_value());
        }
        Some(Self { id, args, detected: Vec::new() })
    }

    /// An event that carries what was detected; its argument is their number.
    #[must_use]
    pub fn with_detected(name: &str, detected: Vec<Detected>) -> Option<Self> {
        let count = i32::try_from(detected.len()).unwrap_or(i32::MAX);
        let mut event = Self::new(name, vec![Value::Integer(count)])?;
        event.detected = detected;
        Some(event)
    }
}

/// What became of a posted event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It waits in the queue.
    Queued,
    /// It was joined with one that waits already.
    Merged,
    /// The queue is full: the event is lost.
    Dropped,
    /// The script has no handler for it.
    Ignored,
    /// The script has stopped after a run-time error.
    Stopped,
}

/// Events that wait for a script.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Event>,
}

/// Events that wait at most: in all on Second Life, of each kind in OpenSimulator.
pub(crate) const CAPACITY: usize = 64;
/// Things one event can carry on Second Life.
const MAX_DETECTED: usize = 16;

impl Queue {
    pub(crate) fn post(&mut self, event: Event, profile: Profile) -> Posted {
        let name = event.id.name();
        if name == "timer" && self.waiting.iter().any(|e| e.id == event.id) {
            return Posted::Merged;
        }
        if !profile.is_opensim()
            && matches!(name, "touch_start" | "touch" | "touch_end" | "collision_start" | "collision" | "collision_end")
            // Only with the newest: a start must not move before an end that came earlier.
            && let Some(last) = self.waiting.back_mut()
            && last.id == event.id
            && last.detected.len() + event.detected.len() <= MAX_DETECTED
        {
            // Somebody who waits already is not listed twice.
            let new: Vec<Detected> = event
                .detected
                .into_iter()
                .filter(|d| !last.detected.iter().any(|o| o.key == d.key && o.link == d.link))
                .collect();
            last.detected.extend(new);
            if let Some(n) = last.args.first_mut() {
                *n = Value::Integer(i32::try_from(last.detected.len()).unwrap_or(i32::MAX));
            }
            return Posted::Merged;
        }
        let full = if profile.is_opensim() {
            self.waiting.iter().filter(|e| e.id == event.id).count() >= CAPACITY
        } else {
            self.waiting.len() >= CAPACITY
        };
        if full {
            return Posted::Dropped;
        }
        self.waiting.push_back(event);
        Posted::Queued
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let e = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // An idle script keeps no buffer.
            self.waiting = VecDeque::new();
        }
        e
    }

    pub(crate) fn clear(&mut self) {
        self.waiting = VecDeque::new();
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn size(&self, profile: Profile) -> usize {
        self.waiting.iter().flat_map(|e| &e.args).map(|v| v.memory_size(profile)).sum()
    }

    /// Bytes of the host machine's memory.
    pub(crate) fn heap(&self) -> usize {
        self.waiting.capacity() * size_of::<Event>()
            + self
                .waiting
                .iter()
                .map(|e| e.args.len() * size_of::<Value>() + e.detected.len() * size_of::<Detected>())
                .sum::<usize>()
    }
}
