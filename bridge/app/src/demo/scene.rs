//! The simulated region as the page sees it: what its prims look like, what its scripts say, what visitors do.
//!
//! The region tells what changes; a copy of it is kept here, so that a new viewer need not wait for the
//! region's own task. What units show comes from the engine, as for every world.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::panel::Panel;
use parking_lot::Mutex;
use primrack_engine::Engine;
use primrack_region::view::{ShapeKind, Voice, Way};
use primrack_region::{DialogId, ObjectId, PrimId, Region, RegionEvent};
use primrack_web::page::InventoryScene;
use primrack_web::page::scene::{
    AvatarView, Deed, Hop, PrimView, RegionView, Scene, SceneEvent, SceneView, Shape,
};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Deeds that may wait for the region.
const DEEDS: usize = 256;

/// What is known of the region.
#[derive(Debug, Default)]
struct Copy {
    name: String,
    profile: String,
    prims: BTreeMap<PrimId, Arc<primrack_region::PrimView>>,
    objects: HashMap<ObjectId, String>,
    /// The touch whose way is being measured, by object.
    touched: HashMap<ObjectId, Touched>,
    /// Open menus, since an answer begins a way anew: thinking time is nobody's delay.
    menus: HashMap<DialogId, ObjectId>,
}

#[derive(Debug)]
struct Touched {
    what: String,
    at: Instant,
    hops: Vec<Hop>,
}

/// A region on the page.
#[derive(Debug)]
pub(crate) struct RegionScene {
    units: Arc<InventoryScene>,
    avatars: Vec<AvatarView>,
    copy: Mutex<Copy>,
    events: broadcast::Sender<Arc<SceneEvent>>,
    deeds: OnceLock<mpsc::Sender<Deed>>,
    panel: OnceLock<Panel>,
}

impl RegionScene {
    /// A scene without a region yet; `avatars` are who a visitor may be.
    pub(crate) fn new(engine: &Arc<Engine>, avatars: Vec<AvatarView>, stop: &CancellationToken) -> Arc<Self> {
        let units = InventoryScene::start(Arc::clone(engine), "", stop.child_token());
        let scene = Arc::new(Self {
            units,
            avatars,
            copy: Mutex::default(),
            events: broadcast::channel(1024).0,
            deeds: OnceLock::new(),
            panel: OnceLock::new(),
        });
        // What units show goes to the same viewers.
        let (mut states, told, stop) = (scene.units.subscribe(), scene.events.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = states.recv() => next,
                    () = stop.cancelled() => return,
                };
                let event = match next {
                    Ok(event) => event,
                    Err(broadcast::error::RecvError::Lagged(_)) => Arc::new(SceneEvent::Renewed),
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                // Without viewers there is nobody to tell.
                drop(told.send(event));
            }
        });
        scene
    }

    /// Shows `region` from now on, until `stop`.
    ///
    /// # Errors
    /// When the region is gone already.
    pub(crate) async fn show(
        self: &Arc<Self>,
        region: Region,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let (snapshot, mut events) = region.snapshot().await?;
        {
            let mut copy = self.copy.lock();
            copy.name = snapshot.region;
            copy.profile = snapshot.profile.to_owned();
            copy.prims = snapshot.prims.into_iter().map(|prim| (prim.id, prim)).collect();
            copy.learn_names();
        }
        self.tell(SceneEvent::Renewed);
        let (tx, mut rx) = mpsc::channel::<Deed>(DEEDS);
        if self.deeds.set(tx).is_err() {
            anyhow::bail!("this scene shows a region already");
        }
        let (scene, doer, ends) = (Arc::clone(self), region.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let deed = tokio::select! {
                    deed = rx.recv() => deed,
                    () = ends.cancelled() => return,
                };
                let Some(deed) = deed else { return };
                let to = deed.avatar().to_owned();
                if let Err(words) = perform(&doer, deed).await {
                    scene.tell(SceneEvent::Say { to: Some(to), from: "Region".to_owned(), text: words });
                }
            }
        });
        let scene = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = stop.cancelled() => return,
                };
                match event {
                    Ok(event) => scene.learn(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        // Too much happened: everything is read again.
                        let Ok((snapshot, fresh)) = region.snapshot().await else { return };
                        events = fresh;
                        let mut copy = scene.copy.lock();
                        copy.prims = snapshot.prims.into_iter().map(|prim| (prim.id, prim)).collect();
                        copy.learn_names();
                        drop(copy);
                        scene.tell(SceneEvent::Renewed);
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Ok(())
    }

    /// Shows a board beside the region from now on, until `stop`.
    pub(crate) fn put(self: &Arc<Self>, panel: Panel, stop: CancellationToken) {
        let mut changes = panel.changes();
        if self.panel.set(panel).is_err() {
            tracing::error!("this scene shows a board already");
            return;
        }
        self.tell(SceneEvent::Renewed);
        let scene = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = stop.cancelled() => return,
                }
                if let Some(panel) = scene.panel.get() {
                    scene.tell(SceneEvent::Prims { prims: panel.prims() });
                }
            }
        });
    }

    fn tell(&self, event: SceneEvent) {
        // Without viewers there is nobody to tell.
        drop(self.events.send(Arc::new(event)));
    }

    fn learn(&self, event: RegionEvent) {
        let mut copy = self.copy.lock();
        let told = match event {
            RegionEvent::Prims { prims } => {
                for prim in &prims {
                    copy.prims.insert(prim.id, Arc::clone(prim));
                }
                copy.learn_names();
                SceneEvent::Prims { prims: prims.iter().map(|prim| copy.view(prim)).collect() }
            }
            RegionEvent::Gone { prims } => {
                for prim in &prims {
                    copy.prims.remove(prim);
                }
                SceneEvent::Gone { ids: prims.iter().map(|prim| prim.0).collect() }
            }
            RegionEvent::Dialog(dialog) => {
                let (to, from, text) = (dialog.avatar.to_string(), dialog.from, dialog.text);
                let Ok(id) = u32::try_from(dialog.id.0) else { return };
                copy.menus.insert(dialog.id, dialog.object);
                if dialog.text_box {
                    SceneEvent::TextBox { to, dialog: id, from, text }
                } else {
                    SceneEvent::Dialog { to, dialog: id, from, text, buttons: reading_order(&dialog.buttons) }
                }
            }
            RegionEvent::Chat(chat) => SceneEvent::Say {
                to: chat.to.map(|to| to.to_string()),
                from: match chat.voice {
                    Voice::Debug => format!("{} (script trouble)", chat.name),
                    Voice::Owner => format!("{} (to its owner)", chat.name),
                    Voice::Whisper | Voice::Say | Voice::Shout | Voice::Private | Voice::InstantMessage => {
                        chat.name
                    }
                },
                text: chat.text,
            },
            RegionEvent::Touched { prim, .. } => {
                let Some(prim) = copy.prims.get(&prim).cloned() else { return };
                let what =
                    format!("{}, {}", copy.objects.get(&prim.object).map_or("", String::as_str), prim.name);
                copy.touched.insert(prim.object, Touched { what, at: Instant::now(), hops: Vec::new() });
                return;
            }
            RegionEvent::Hop(hop) => match copy.measure(&hop) {
                Some(event) => event,
                None => return,
            },
            RegionEvent::ScriptError { object, script, message, line, .. } => SceneEvent::Say {
                to: None,
                from: copy.objects.get(&object).cloned().unwrap_or_default(),
                text: format!("{script}, line {line}: {message}"),
            },
            RegionEvent::Down => SceneEvent::Say {
                to: None,
                from: "Region".to_owned(),
                text: "The region is restarting.".to_owned(),
            },
            RegionEvent::Up => {
                SceneEvent::Say { to: None, from: "Region".to_owned(), text: "The region is up.".to_owned() }
            }
            RegionEvent::DialogClosed { dialog, .. } => {
                if let Some(object) = copy.menus.remove(&dialog)
                    && let Some(touched) = copy.touched.get_mut(&object)
                {
                    touched.at = Instant::now();
                    touched.hops.clear();
                }
                return;
            }
            RegionEvent::Avatar { .. } | RegionEvent::AvatarGone { .. } => return,
        };
        drop(copy);
        self.tell(told);
    }
}

impl Copy {
    fn learn_names(&mut self) {
        let roots = self.prims.values().filter(|prim| prim.link <= 1);
        self.objects = roots.map(|prim| (prim.object, prim.name.clone())).collect();
    }

    fn view(&self, prim: &primrack_region::PrimView) -> PrimView {
        let unit = prim.name.strip_prefix("unit ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        PrimView {
            id: prim.id.0,
            object: self.objects.get(&prim.object).cloned().unwrap_or_default(),
            link: u32::try_from(prim.link).unwrap_or(0),
            unit,
            shape: match prim.shape.kind {
                ShapeKind::Box | ShapeKind::Sculpt => Shape::Box,
                ShapeKind::Cylinder | ShapeKind::Tube => Shape::Cylinder,
                ShapeKind::Prism => Shape::Prism,
                ShapeKind::Sphere => Shape::Sphere,
                ShapeKind::Torus | ShapeKind::Ring => Shape::Torus,
            },
            pos: single(prim.position),
            rot: prim.rotation.map(as_f32),
            size: single(prim.size),
            colour: single(prim.face.colour),
            alpha: as_f32(prim.face.alpha),
            glow: as_f32(prim.face.glow),
            fullbright: prim.face.bright,
            light: prim.light.map_or(0.0, |light| as_f32(light.radius * light.intensity)),
            spin: as_f32(prim.spin[2]),
            text: prim.text.clone(),
            text_colour: single(prim.text_colour),
            name: prim.name.clone(),
        }
    }

    /// From a touch: the script's call to the bridge, then the push that shows the effect.
    fn measure(&mut self, hop: &primrack_region::view::Hop) -> Option<SceneEvent> {
        let touched = self.touched.get_mut(&hop.object)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
        let ms = hop.micros as f32 / 1000.0;
        let since = touched.at.elapsed().as_secs_f32() * 1000.0;
        let words = match hop.way {
            Way::Out => {
                let before = (since - ms).max(0.0);
                touched.hops = vec![
                    Hop { name: "script".to_owned(), ms: before },
                    Hop { name: "bridge decides, records, answers".to_owned(), ms },
                ];
                format!("answered after {since:.0} ms")
            }
            Way::In => {
                let so_far: f32 = touched.hops.iter().map(|hop| hop.ms).sum();
                touched.hops.truncate(2);
                touched
                    .hops
                    .push(Hop { name: "machine and bridge".to_owned(), ms: (since - so_far - ms).max(0.0) });
                touched.hops.push(Hop { name: "push drawn by the script".to_owned(), ms });
                format!("shown after {since:.0} ms")
            }
        };
        Some(SceneEvent::Hops { what: touched.what.clone(), words, hops: touched.hops.clone() })
    }
}

impl Scene for RegionScene {
    fn snapshot(&self) -> SceneView {
        let units = self.units.snapshot().units;
        let copy = self.copy.lock();
        SceneView {
            region: RegionView {
                name: copy.name.clone(),
                simulated: true,
                size: [256.0, 256.0],
                note: format!(
                    "A simulated region that runs the objects' own scripts as {} would, and a board played in software.",
                    copy.profile
                ),
            },
            avatars: self.avatars.clone(),
            prims: copy
                .prims
                .values()
                .map(|prim| copy.view(prim))
                .chain(self.panel.get().into_iter().flat_map(Panel::prims))
                .collect(),
            units,
            touchable: self.deeds.get().is_some(),
        }
    }
    fn subscribe(&self) -> broadcast::Receiver<Arc<SceneEvent>> {
        self.events.subscribe()
    }
    fn act(&self, deed: Deed) -> Result<(), String> {
        if !self.avatars.iter().any(|avatar| avatar.id == deed.avatar()) {
            return Err("nobody of that id is here".to_owned());
        }
        if let Deed::Touch { prim, avatar } = &deed
            && let Some(panel) = self.panel.get()
            && let Some(text) = panel.touch(*prim, avatar)
        {
            self.tell(SceneEvent::Say {
                to: Some(avatar.clone()),
                from: "Board (simulated)".to_owned(),
                text,
            });
            return Ok(());
        }
        let deeds = self.deeds.get().ok_or("the region is starting")?;
        deeds.try_send(deed).map_err(|_| "too much at once: try again".to_owned())
    }
}

async fn perform(region: &Region, deed: Deed) -> Result<(), String> {
    let who = Uuid::parse_str(deed.avatar()).map_err(|_| "that is nobody".to_owned())?;
    let done = match deed {
        Deed::Touch { prim, .. } => region.touch(who, PrimId(prim)).await,
        Deed::Choose { dialog, button, .. } => {
            region.answer_dialog(who, DialogId(u64::from(dialog)), button).await
        }
        Deed::Write { dialog, text, .. } => region.write(who, DialogId(u64::from(dialog)), text).await,
    };
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refusal)) => Err(refusal.to_string()),
        Err(gone) => Err(gone.to_string()),
    }
}

/// Dialogs show three buttons to a row, from the bottom row up; people read from the top.
fn reading_order(buttons: &[String]) -> Vec<String> {
    buttons.chunks(3).rev().flatten().filter(|label| !label.trim().is_empty()).cloned().collect()
}

fn single(v: [f64; 3]) -> [f32; 3] {
    v.map(as_f32)
}

#[expect(clippy::cast_possible_truncation, reason = "what a screen shows needs no more")]
fn as_f32(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_are_read_from_the_top_row() {
        let buttons = ["Close", " ", " ", "Start", "Save", "Reset"].map(str::to_owned).to_vec();
        assert_eq!(reading_order(&buttons), ["Start", "Save", "Reset", "Close"]);
    }
}
