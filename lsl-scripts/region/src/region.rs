//! The handle, and the task behind it.

use crate::clock::{Micros, micros};
use crate::ids::{AvatarKey, DialogId, ObjectId, PrimId};
use crate::net::client::Reply;
use crate::net::server;
use crate::object::Template;
use crate::room::{Room, RoomError};
use crate::settings::{Knobs, RegionSettings};
use crate::view::{RegionEvent, Snapshot};
use crate::world::{Outside, Refusal, ScriptStatus, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The region has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the region has ended")]
pub struct Gone;

/// Why a region does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address for script URLs is taken or not ours.
    #[error("script URLs cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The room does not fit together.
    #[error(transparent)]
    Room(#[from] RoomError),
}

/// Something for the task.
pub(crate) enum Input {
    /// A question or order from a handle.
    Do(Box<dyn FnOnce(&mut World) + Send>),
    /// A call is answered.
    Reply(Uuid, Reply),
    /// Move a clock that is moved by hand.
    Advance(f64, oneshot::Sender<()>),
    /// Tell when nothing runs.
    Settle(oneshot::Sender<()>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Do(_) => "Do",
            Self::Reply(..) => "Reply",
            Self::Advance(..) => "Advance",
            Self::Settle(_) => "Settle",
        })
    }
}

/// An object that was taken out of the world and can be put back, any number of times.
#[derive(Debug, Clone)]
pub struct Taken(Arc<Template>);

impl Taken {
    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

/// A simulated region. Clones are handles to the same one; it ends with [`Region::stop`] or when the last handle goes.
#[derive(Debug, Clone)]
pub struct Region {
    inputs: mpsc::Sender<Input>,
    events: broadcast::Sender<RegionEvent>,
    address: SocketAddr,
    profile: primrack_lsl::Profile,
    end: Arc<End>,
}

#[derive(Debug)]
struct End {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for End {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Inputs that wait for the task; more make their senders wait.
const INPUTS: usize = 1024;
/// Turns of scripts between two looks at the inputs.
const TURNS: usize = 64;
/// Prims are told at most so often while scripts are busy.
const TELL_EVERY: Duration = Duration::from_millis(15);
/// How long a step of a hand-moved clock waits for answers that are under way, in real time.
const PATIENCE: Duration = Duration::from_millis(250);

impl Region {
    /// Starts a region with a room in it. Has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]: the address is not to be had, or the room does not fit together. A script that does not compile is
    /// no error: it is told as [`RegionEvent::ScriptError`] and in [`Region::scripts`].
    pub async fn start(settings: RegionSettings, room: &Room) -> Result<Self, StartError> {
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let (requests, incoming) = mpsc::channel(INPUTS);
        let (events, _) = broadcast::channel(settings.event_buffer.max(16));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let profile = settings.profile;
        let outside = Outside {
            inputs: inputs.clone(),
            events: events.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            address,
        };
        let mut world = World::new(settings, outside);
        world.build(room)?;
        tasks.spawn(server::serve(listener, requests, profile.is_opensim(), stop.clone(), tasks.clone()));
        tasks.spawn(
            Task { world, receiver, incoming, advancing: None, settling: Vec::new(), told: Instant::now() }
                .run(stop.clone()),
        );
        Ok(Self { inputs, events, address, profile, end: Arc::new(End { stop, tasks }) })
    }

    /// Where script URLs listen.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The grid whose limits hold.
    #[must_use]
    pub const fn profile(&self) -> primrack_lsl::Profile {
        self.profile
    }

    /// What happens from now on. A subscriber that is slower than [`RegionSettings::event_buffer`] misses the oldest
    /// events and has to take a [`Region::snapshot`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<RegionEvent> {
        self.events.subscribe()
    }

    async fn with<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (tx, rx) = oneshot::channel();
        let job = move |world: &mut World| {
            // The asker went away: nobody misses it.
            drop(tx.send(f(world)));
        };
        self.inputs.send(Input::Do(Box::new(job))).await.map_err(|_| Gone)?;
        rx.await.map_err(|_| Gone)
    }

    /// Everything there is, with a subscription that continues from it.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn snapshot(&self) -> Result<(Snapshot, broadcast::Receiver<RegionEvent>), Gone> {
        self.with(|w| {
            w.flush();
            (w.snapshot(), w.outside.events.subscribe())
        })
        .await
    }

    /// An avatar touches a prim.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn touch(&self, avatar: AvatarKey, prim: PrimId) -> Result<Result<(), Refusal>, Gone> {
        self.with(move |w| w.touch(avatar, prim)).await
    }

    /// An avatar presses a button of a menu.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn answer_dialog(
        &self,
        avatar: AvatarKey,
        dialog: DialogId,
        button: impl Into<String>,
    ) -> Result<Result<(), Refusal>, Gone> {
        let button = button.into();
        self.with(move |w| w.answer_dialog(avatar, dialog, Some(&button), false)).await
    }

    /// An avatar writes a line into a text box.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn write(
        &self,
        avatar: AvatarKey,
        dialog: DialogId,
        text: impl Into<String>,
    ) -> Result<Result<(), Refusal>, Gone> {
        let text = text.into();
        self.with(move |w| w.answer_dialog(avatar, dialog, Some(&text), true)).await
    }

    /// An avatar closes a menu or text box without an answer; its script does not see that.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn ignore(&self, avatar: AvatarKey, dialog: DialogId) -> Result<Result<(), Refusal>, Gone> {
        self.with(move |w| w.answer_dialog(avatar, dialog, None, false)).await
    }

    /// An avatar says something on a channel; it is heard 20 m around.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn say(
        &self,
        avatar: AvatarKey,
        channel: i32,
        text: impl Into<String>,
    ) -> Result<Result<(), Refusal>, Gone> {
        let text = text.into();
        self.with(move |w| w.avatar_says(avatar, channel, &text)).await
    }

    /// An avatar comes, or is somewhere else from now on.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn enter(
        &self,
        key: AvatarKey,
        name: impl Into<String>,
        position: [f64; 3],
    ) -> Result<(), Gone> {
        let name = name.into();
        self.with(move |w| w.enter(key, &name, position)).await
    }

    /// An avatar leaves.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn leave(&self, key: AvatarKey) -> Result<Result<(), Refusal>, Gone> {
        self.with(move |w| w.leave(key)).await
    }

    /// The region goes down for so many seconds and comes up again. Script URLs and calls are lost; variables, states,
    /// timers, listens and queues stay, and `state_entry` does not run: only `changed(CHANGED_REGION_START)` does.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn restart(&self, seconds: f64) -> Result<(), Gone> {
        self.with(move |w| w.restart(seconds)).await
    }

    /// Puts a copy of an object somewhere, for its owner or another. Its scripts begin anew and get `on_rez`; on the grids
    /// a copy would go on in the state of the first, then get `on_rez`.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn copy_object(
        &self,
        object: ObjectId,
        position: [f64; 3],
        owner: Option<AvatarKey>,
    ) -> Result<Result<ObjectId, Refusal>, Gone> {
        self.with(move |w| w.copy(object, position, owner)).await
    }

    /// Takes an object out of the world.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn take_object(&self, object: ObjectId) -> Result<Result<Taken, Refusal>, Gone> {
        self.with(move |w| w.take(object).map(Taken)).await
    }

    /// Rezzes what was taken, as a new object with new UUIDs.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn rez_object(
        &self,
        taken: &Taken,
        position: [f64; 3],
        owner: Option<AvatarKey>,
    ) -> Result<Result<ObjectId, Refusal>, Gone> {
        let template = Arc::clone(&taken.0);
        self.with(move |w| w.put(&template, position, owner)).await
    }

    /// Resets a script, as its owner would.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn reset_script(
        &self,
        prim: PrimId,
        script: impl Into<String>,
    ) -> Result<Result<(), Refusal>, Gone> {
        let script = script.into();
        self.with(move |w| w.reset_named(prim, &script)).await
    }

    /// Gives an object to somebody else.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn change_owner(
        &self,
        object: ObjectId,
        owner: AvatarKey,
    ) -> Result<Result<(), Refusal>, Gone> {
        self.with(move |w| w.change_owner(object, owner)).await
    }

    /// Moves an object as a teleport does: its URLs are lost.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn teleport_object(
        &self,
        object: ObjectId,
        position: [f64; 3],
    ) -> Result<Result<(), Refusal>, Gone> {
        self.with(move |w| w.teleport(object, position)).await
    }

    /// Writes a notecard into a prim; its scripts are told that the inventory changed.
    ///
    /// # Errors
    ///
    /// [`Gone`]; inside, the [`Refusal`].
    pub async fn write_notecard(
        &self,
        prim: PrimId,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<Result<(), Refusal>, Gone> {
        let (name, text) = (name.into(), text.into());
        self.with(move |w| w.write_notecard(prim, &name, &text)).await
    }

    /// How every script is.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn scripts(&self) -> Result<Vec<ScriptStatus>, Gone> {
        self.with(|w| w.script_statuses()).await
    }

    /// What goes wrong from now on.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn set_knobs(&self, knobs: Knobs) -> Result<(), Gone> {
        self.with(move |w| w.knobs = knobs).await
    }

    /// What goes wrong now; counts of things to lose go down as they are lost.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn knobs(&self) -> Result<Knobs, Gone> {
        self.with(|w| w.knobs).await
    }

    /// Moves a clock that is moved by hand, stopping at everything that is due on the way and letting scripts and calls
    /// that are under way finish (a call that takes longer than a quarter of a real second is not waited for). With a real
    /// clock it only waits until nothing runs.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn advance(&self, seconds: f64) -> Result<(), Gone> {
        let (tx, rx) = oneshot::channel();
        self.inputs.send(Input::Advance(seconds, tx)).await.map_err(|_| Gone)?;
        rx.await.map_err(|_| Gone)
    }

    /// Waits until no script has anything to do now and no call of a script is under way. Sleeping scripts and timers
    /// are not waited for.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn settle(&self) -> Result<(), Gone> {
        let (tx, rx) = oneshot::channel();
        self.inputs.send(Input::Settle(tx)).await.map_err(|_| Gone)?;
        rx.await.map_err(|_| Gone)
    }

    /// Ends the region and waits until all its tasks have ended.
    pub async fn stop(&self) {
        self.end.stop.cancel();
        self.end.tasks.close();
        self.end.tasks.wait().await;
    }
}

struct Task {
    world: World,
    receiver: mpsc::Receiver<Input>,
    incoming: mpsc::Receiver<server::Incoming>,
    advancing: Option<Advance>,
    settling: Vec<oneshot::Sender<()>>,
    /// When prims were last told.
    told: Instant,
}

struct Advance {
    to: Micros,
    done: oneshot::Sender<()>,
    /// Until when answers are waited for before the next step, and how many calls had been started then.
    patience: Option<(Instant, u64)>,
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            if stop.is_cancelled() {
                return;
            }
            for _ in 0..256 {
                match self.receiver.try_recv() {
                    Ok(input) => self.take(input),
                    Err(_) => break,
                }
            }
            for _ in 0..256 {
                match self.incoming.try_recv() {
                    Ok(request) => self.world.incoming(request),
                    Err(_) => break,
                }
            }
            self.world.fire_due();
            self.world.run_scripts(TURNS);
            let busy = self.world.has_ready() && self.world.up;
            if self.world.has_news() && (!busy || self.told.elapsed() >= TELL_EVERY) {
                self.world.flush();
                self.told = Instant::now();
            }
            if busy {
                tokio::task::yield_now().await;
                continue;
            }
            let until = match self.step() {
                Step::Again => continue,
                Step::Until(when) => when,
            };
            let due = self.world.next_wake().and_then(|at| self.world.clock.instant(at));
            let wake = match (until, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            tokio::select! {
                () = stop.cancelled() => return,
                input = self.receiver.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                request = self.incoming.recv() => match request {
                    Some(request) => self.world.incoming(request),
                    None => return,
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Do(job) => job(&mut self.world),
            Input::Reply(id, reply) => {
                self.world.call_answered(id, reply);
                if let Some(a) = &mut self.advancing {
                    a.patience = None;
                }
            }
            Input::Advance(seconds, done) => {
                let to = self.world.clock.now() + micros(seconds);
                // A second one replaces the first, whose asker sees the region as if it were done.
                self.advancing = Some(Advance { to, done, patience: None });
            }
            Input::Settle(done) => self.settling.push(done),
        }
    }

    /// Nothing runs: settle and move the clock.
    fn step(&mut self) -> Step {
        if self.world.calls_running == 0 {
            self.settling.drain(..).for_each(done);
        }
        let Some(advance) = &mut self.advancing else { return Step::Until(None) };
        if self.world.calls_running > 0 {
            let calls = self.world.calls_started;
            let (until, _) = match advance.patience {
                Some(p) if p.1 == calls => p,
                _ => *advance.patience.insert((Instant::now() + PATIENCE, calls)),
            };
            if Instant::now() < until {
                return Step::Until(Some(until));
            }
        }
        match self.world.next_wake().filter(|at| *at <= advance.to) {
            Some(at) => {
                self.world.clock.set(at);
                if self.world.clock.now() >= at {
                    return Step::Again;
                }
                // A real clock: it comes to that by itself.
            }
            None => self.world.clock.set(advance.to),
        }
        if let Some(a) = self.advancing.take() {
            done(a.done);
        }
        Step::Until(None)
    }
}

enum Step {
    Again,
    Until(Option<Instant>),
}

fn done(tell: oneshot::Sender<()>) {
    if tell.send(()).is_err() {
        tracing::trace!("who waited for the region went away");
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
