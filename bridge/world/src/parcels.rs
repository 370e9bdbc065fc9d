//! What goes out to an object, and what its answer means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use primrack_model::UnixMs;
use primrack_wire::world::{Ack, BODY_ROOM, Dir, NonceField, Sealing, Seq, Unverified, fit, seal};

use crate::delivery::{ObjectIx, Parcel, Parcels, PostError, Settled};
use crate::station::{InFlight, RivalState, Station, UnitSet};
use crate::words;
use crate::world::World;

/// `{"list":…,"tell":…}` without the lists' brackets.
const AROUND: usize = r#"{"list":,"tell":}"#.len();

impl World {
    /// The body for what is dirty now, as much as fits; also which places and sentences it holds.
    fn body(
        &self,
        at: usize,
        station: &mut Station,
        now: UnixMs,
    ) -> (String, UnitSet, Vec<primrack_wire::world::Tell>) {
        let inventory = self.inventory();
        let entry = &inventory.objects()[at];
        let mut tells = station.take_tells();
        if !tells.is_empty() {
            let told = fit(&tells, AROUND + 2, BODY_ROOM);
            let later = tells.split_off(told);
            station.put_back(later);
        }
        // Written straight into the body: a unit that does not fit is cut off again and goes with the next.
        let mut body = Vec::with_capacity(512);
        body.push(b'{');
        if !tells.is_empty() {
            body.extend_from_slice(br#""tell":"#);
            write(&mut body, &tells);
        }
        let mut units = UnitSet::default();
        if let Some(engine) = self.engine.get() {
            for place in station.dirty.iter() {
                let shown = entry.units.get(place);
                let blank = entry.blank.get(place.saturating_sub(entry.units.len()));
                if shown.is_none() && blank.is_none() {
                    station.dirty.remove(place);
                    continue;
                }
                let before = body.len();
                match (units.is_empty(), tells.is_empty()) {
                    (true, true) => body.extend_from_slice(br#""list":["#),
                    (true, false) => body.extend_from_slice(br#","list":["#),
                    (false, _) => body.push(b','),
                }
                match (shown, blank) {
                    (Some((unit, ix)), _) => {
                        let target = inventory.target(*ix);
                        let simulated = engine.capabilities(*ix).simulated;
                        write(&mut body, &words::unit(*unit, target, &engine.state(*ix), simulated, now));
                    }
                    (None, unit) => write(&mut body, &words::blank(unit.copied().unwrap_or_default())),
                }
                if body.len() + "]}".len() > BODY_ROOM {
                    body.truncate(before);
                    break;
                }
                units.insert(place);
            }
        }
        for place in units.iter() {
            station.dirty.remove(place);
        }
        if !units.is_empty() {
            body.push(b']');
        }
        body.push(b'}');
        let body = String::from_utf8(body).unwrap_or_else(|_| unreachable!("JSON is text"));
        (body, units, tells)
    }

    fn acknowledged(&self, at: usize, station: &mut Station, answer: &Bytes) -> Option<Ack> {
        let in_flight = station.in_flight.as_deref()?;
        let inventory = self.inventory();
        let object = inventory.objects()[at].id.as_str();
        let unverified = Unverified::parse(answer).ok().filter(|it| it.header.object == object)?;
        let keys = self.keys();
        let key = keys.find(object, in_flight.key.as_str(), UnixMs::now())?;
        let body = unverified.verify(&key.secret).ok()?.answers(Dir::Ack, in_flight.seq).ok()?;
        serde_json::from_slice(body).ok()
    }
}

/// Memory takes everything, and every field is a plain JSON value.
fn write(into: &mut Vec<u8>, what: &impl serde::Serialize) {
    serde_json::to_writer(into, what).unwrap_or_else(|_| unreachable!("plain JSON into memory"));
}

impl Parcels for World {
    fn compose(&self, object: ObjectIx) -> Option<Parcel> {
        let at = object.0 as usize;
        let now = UnixMs::now();
        let mut station = self.station(at);
        if !station.has_something() || station.line.as_ref().is_none_or(|line| line.dead) {
            return None;
        }
        let (body, units, tells) = self.body(at, &mut station, now);
        station.ping = false;
        let seq = Seq(station.push_seq + 1);
        station.push_seq = seq.0;
        let line = station.line.as_ref()?;
        let (url, key_id, form) = (Arc::clone(&line.callback), line.key.clone(), line.facts.form);
        let inventory = self.inventory();
        let id = inventory.objects()[at].id.as_str();
        let keys = self.keys();
        let Some(key) = keys.find(id, key_id.as_str(), now) else {
            // Its key ended: it has to register with the new one.
            station.dirty.add(units);
            station.put_back(tells);
            if let Some(line) = &mut station.line {
                line.dead = true;
                line.silent = line.silent.or(Some(now));
            }
            return None;
        };
        let message = seal(
            &Sealing {
                dir: Dir::Push,
                object: id,
                key_id: key_id.as_str(),
                secret: &key.secret,
                form,
                nonce: NonceField::Boot(self.nonce),
                seq,
                time: now.seconds(),
            },
            &body,
        );
        station.in_flight =
            Some(Box::new(InFlight { seq, key: key_id, units, tells, since: Instant::now() }));
        Some(Parcel { id: u64::from(seq.0), url, body: Bytes::from(message) })
    }

    fn settle(&self, object: ObjectIx, parcel: u64, answer: Result<Bytes, PostError>) -> Settled {
        let at = object.0 as usize;
        let now = UnixMs::now();
        let mut guard = self.station(at);
        let station = &mut *guard;
        if station.in_flight.as_ref().is_none_or(|it| u64::from(it.seq.0) != parcel) {
            return Settled::Delivered { more: station.has_something() };
        }
        let ack = match &answer {
            Ok(bytes) => self.acknowledged(at, station, bytes),
            Err(_) => None,
        };
        let Some(in_flight) = station.in_flight.take() else { return Settled::Delivered { more: false } };
        if let Some(Ack { refused: None, .. }) = ack {
            self.counters.pushes.inc();
            self.counters.push_seconds.observe(in_flight.since.elapsed().as_secs_f64());
            if let Some(line) = &mut station.line {
                line.heard = now;
                line.silent = None;
            }
            if let Some(rival) = &mut station.rival
                && rival.state == RivalState::Asking
            {
                rival.state = RivalState::FirstAlive;
            }
            return Settled::Delivered { more: station.has_something() };
        }
        station.dirty.add(in_flight.units);
        station.put_back(in_flight.tells);
        if matches!(answer, Err(PostError::NotSent | PostError::StaleConnection | PostError::Superseded)) {
            // Nobody failed to answer: delivery composes again as soon as it can. Whoever asked whether the
            // holder is there still wants to know.
            station.ping |= station.rival.as_ref().is_some_and(|rival| rival.state == RivalState::Asking);
            return Settled::Retry { after: None };
        }
        self.counters.push_failures.inc();
        if let Some(rival) = &mut station.rival
            && rival.state == RivalState::Asking
        {
            rival.state = RivalState::FirstGone;
        }
        match ack {
            Some(Ack { boot, last, .. }) => {
                if let Some(line) = &mut station.line {
                    line.heard = now;
                }
                let ours = boot == Some(self.nonce.boot);
                if let (true, Some(last)) = (ours, last) {
                    station.push_seq = station.push_seq.max(last);
                    return Settled::Retry { after: None };
                }
                // It knows a later boot, or its clock is off: it registers by itself, at once.
                Settled::Retry { after: Some(Duration::from_secs(5)) }
            }
            None => {
                let gone = matches!(&answer, Err(PostError::Status { status: 404 | 410, .. }));
                if let Some(line) = &mut station.line {
                    line.silent = line.silent.or(Some(now));
                    line.dead = gone;
                }
                if gone { Settled::Dead } else { Settled::Retry { after: None } }
            }
        }
    }
}
