//! `primrack demo`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use primrack_web::page::PageParts;
use primrack_web::page::scene::AvatarView;
use primrack_world::Keyring;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::object::{Keeper, play};
use super::serve::interrupted;
use crate::compose::{Bridge, CONTROL_SOCKET, Mistakes, check, keys_path, start_with};
use crate::config::{Loaded, read};
use crate::control::Control;
use crate::demo::panel::Panel;
use crate::demo::scene::RegionScene;
use crate::demo::{BOARD, House, RACK, all_seen, room, stop_everything};
use crate::out::{complain, line};
use crate::rack::{Avatar, News, Rack, RackKey, RackSettings};

/// Runs a bridge with a few real servers, a rack, a door and more to touch in the browser, without any configuration.
///
/// The region is simulated and runs the objects' own scripts, the board is played in software; the servers
/// are real processes of this machine. They are stopped at the end.
#[derive(Debug, Args)]
pub struct DemoCommand {
    /// The demonstration's folder; primrack-demo in the user's cache folder if absent
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Begins anew: what earlier demonstrations left is stopped and removed
    #[arg(long)]
    reset: bool,
    /// Where the bridge listens; as configured in the folder, or a free port where that one is taken
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A rack in this terminal instead of a region in the browser
    #[arg(long)]
    terminal: bool,
    /// Who touches in the terminal
    #[arg(long = "as", value_name = "NAME", default_value = "Ada")]
    name: String,
    /// Lets the servers run on at the end
    #[arg(long)]
    keep: bool,
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
}

impl DemoCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When the folder cannot be had or the bridge cannot start.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        crate::logs::start(crate::logs::LogFormat::Human, "error");
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.show())
    }

    async fn show(self) -> anyhow::Result<ExitCode> {
        let Self { dir, reset, listen, terminal, name, keep, json } = self;
        let house = House::at(dir)?;
        if reset {
            clear(&house).await?;
        }
        house.furnish()?;
        let loaded = load(&house)?;
        let listener = listener(&loaded, listen).await?;
        let (bridge, scene) = bridge(&house, loaded.clone(), listener).await?;
        let ended = if terminal {
            introduce(&house, &bridge, terminal, json)?;
            tokio::select! {
                ended = touchable(&bridge, &loaded, &name, json) => ended,
                signal = interrupted() => signal,
            }
        } else {
            let ring = Keyring::read(&keys_path(&loaded))?;
            let region = room::open(&bridge.engine.inventory(), &ring, bridge.address, &people()).await?;
            let stop = CancellationToken::new();
            scene.show(region.clone(), stop.clone()).await?;
            if let Some(board) = bridge.boards.soft(BOARD) {
                scene.put(Panel::new(board, &bridge.engine.inventory()), stop.clone());
            }
            introduce(&house, &bridge, terminal, json)?;
            let ended = tokio::select! {
                ended = happenings(&bridge, json) => ended,
                signal = interrupted() => signal,
            };
            stop.cancel();
            region.stop().await;
            ended
        };
        if !keep {
            stop_everything(&bridge.engine).await;
        }
        bridge.stop().await;
        ended.map(|()| ExitCode::SUCCESS)
    }
}

fn load(house: &House) -> anyhow::Result<Loaded> {
    // The demonstration is what its folder says: the environment's settings are for the user's own bridge.
    read(&house.config(), std::iter::empty()).map_err(|mistake| {
        complain(&format!("{:?}", miette::Report::new(mistake)));
        anyhow::anyhow!("correct the file, or begin anew with `primrack demo --reset`")
    })
}

async fn listener(loaded: &Loaded, asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(asked) = asked {
        if !asked.ip().is_loopback() {
            bail!("the demonstration has no TLS: it listens on this machine only, such as 127.0.0.1:8480");
        }
        return TcpListener::bind(asked).await.with_context(|| format!("cannot listen on {asked}"));
    }
    let usual = loaded.config.bridge.listen;
    match TcpListener::bind(usual).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            complain(&format!("{usual} cannot be had ({error}): taking a free port"));
            Ok(TcpListener::bind((usual.ip(), 0)).await?)
        }
    }
}

/// Who may be in the room: an owner, an operator and a guest, as the seed's groups have them.
fn people() -> [Avatar; 3] {
    ["Ada", "Bob", "Eve"].map(Avatar::named)
}

async fn bridge(
    house: &House,
    loaded: Loaded,
    listener: TcpListener,
) -> anyhow::Result<(Bridge, Arc<RegionScene>)> {
    let socket = loaded.resolve(&loaded.config.bridge.state_dir).join(CONTROL_SOCKET);
    if Control::at(&socket).is_there().await.is_ok() {
        bail!(
            "a demonstration runs in {} already: use that one, or name another folder with --dir",
            house.folder().display()
        );
    }
    let checked = check(loaded).map_err(|Mistakes(reports)| {
        reports.iter().for_each(|report| complain(&format!("{report:?}")));
        anyhow::anyhow!("correct that, or begin anew with `primrack demo --reset`")
    })?;
    let notes = [
        "may do everything; what is protected only by name",
        "may start, stop and pause",
        "a guest: may start what is public",
    ];
    let avatars = people()
        .iter()
        .zip(notes)
        .map(|(who, note)| AvatarView {
            id: who.id.to_string(),
            name: who.name.to_string(),
            note: note.to_owned(),
        })
        .collect();
    let mut made = None;
    let bridge = start_with(checked, Some(listener), |engine, stop| {
        let scene = RegionScene::new(engine, avatars, stop);
        made = Some(Arc::clone(&scene));
        PageParts { acting: true, ..PageParts::new(scene, stop.child_token()) }
    })
    .await?;
    Ok((bridge, made.context("the page is shown on loopback only")?))
}

/// What happens to the machines, a line each, until something ends it.
async fn happenings(bridge: &Bridge, json: bool) -> anyhow::Result<()> {
    let mut changes = bridge.engine.subscribe();
    loop {
        match changes.recv().await {
            Ok(event) if json => line(&serde_json::to_string(&event)?)?,
            Ok(event) => {
                let state = &event.state;
                let by = state.transition.as_ref().map_or_else(String::new, |t| format!(", for {}", t.by));
                let words = format!("{} {}{by} {}", event.target, state.power.word(), state.detail);
                line(crate::show::plain(&words).trim_end())?;
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

/// Stops what an earlier demonstration left running, and removes its folder.
async fn clear(house: &House) -> anyhow::Result<()> {
    if house.exists() {
        let stopped = async {
            let loaded = load(house)?;
            let (old, _) = bridge(house, loaded, TcpListener::bind(("127.0.0.1", 0)).await?).await?;
            all_seen(&old.engine).await;
            stop_everything(&old.engine).await;
            old.stop().await;
            anyhow::Ok(())
        };
        if let Err(error) = stopped.await {
            if error.to_string().starts_with("a demonstration runs") {
                return Err(error);
            }
            complain(&format!("what the last demonstration left could not be stopped: {error:#}"));
        }
    }
    house.clear()
}

fn introduce(house: &House, bridge: &Bridge, terminal: bool, json: bool) -> anyhow::Result<()> {
    let address = bridge.address;
    if json {
        let value = serde_json::json!({ "event": "up", "bridge": format!("http://{address}"),
            "config": house.config(), "control": bridge.control });
        line(&value.to_string())?;
        return Ok(());
    }
    let config = house.config();
    line(&format!("The bridge listens at http://{address} (/healthz, /metrics; objects post to /world/1)."))?;
    if terminal {
        line(
            "The servers are real processes of this machine; the rack in this terminal is a simulated object.",
        )?;
    } else {
        line(&format!(
            "Open http://{address}/ and touch a unit. For the audience: http://{address}/audience"
        ))?;
        line(
            "The servers are real processes of this machine. The region is simulated and runs the objects' own scripts;",
        )?;
        line("the board with reader, bell and tower of lamps is played in software (simulated).")?;
    }
    line(&format!("In another terminal: export PRIMRACK_CONFIG={}", config.display()))?;
    line("then: primrack watch · primrack touch web-1 start --wait · primrack audit show · primrack doctor")?;
    Ok(())
}

/// Puts a rack up and hands it to the terminal; without one, prints what happens.
async fn touchable(bridge: &Bridge, loaded: &Loaded, name: &str, json: bool) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let ring = Keyring::read(&keys_path(loaded))?;
    let key = ring.of(RACK).last().with_context(|| format!("{RACK} has no key: begin anew with --reset"))?;
    let key = RackKey { id: key.id.clone(), secret: key.secret.clone() };
    let rack =
        Arc::new(Rack::start(RackSettings::new(format!("http://{}", bridge.address), RACK, key)).await?);
    if std::io::stdin().is_terminal() {
        return play(&rack, Keeper { who: Avatar::named(name), json }).await;
    }
    let mut news = rack.changes();
    rack.register().await?;
    loop {
        let told = match news.recv().await {
            Ok(told) => told,
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => continue,
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
        };
        match told {
            told if json => line(&serde_json::to_string(&told)?)?,
            News::Unit(unit) => {
                let words = format!("unit {} {}: {} {}", unit.u, unit.l, unit.w, unit.n);
                line(crate::show::plain(&words).trim_end())?;
            }
            News::Registered { .. } => line("the rack is registered")?,
            News::Tell(tell) => line(&crate::show::plain(&tell.say))?,
            News::Trouble { words } => line(&crate::show::plain(&words))?,
        }
    }
}
