//! Smart card readers through PC/SC: whatever `pcscd` has a driver for, watched by a thread of its own.
//!
//! A card's UID is asked for with the pseudo-APDU `FF CA 00 00 00` of PC/SC part 3. Readers may come and go.

use std::ffi::{CStr, CString};
use std::time::Duration;

use pcsc::{Context, Disposition, PNP_NOTIFICATION, Protocols, ReaderState, Scope, ShareMode, State};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::message::Uid;
use crate::plain::PlainBadge;
use crate::reader::{EVENTS, ReaderEvent, tell};

const GET_UID: [u8; 5] = [0xFF, 0xCA, 0x00, 0x00, 0x00];
/// How long a change is waited for at a time; a stop cancels the wait.
const WAIT: Duration = Duration::from_secs(1);

/// PC/SC readers at work; dropping it ends their thread.
pub struct PcscReaders {
    /// What they tell.
    pub events: mpsc::Receiver<ReaderEvent>,
    stop: CancellationToken,
    context: Context,
}

impl std::fmt::Debug for PcscReaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcscReaders").finish_non_exhaustive()
    }
}

impl Drop for PcscReaders {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Err(error) = self.context.cancel() {
            tracing::debug!(%error, "waiting for cards ends a little later");
        }
    }
}

impl PcscReaders {
    /// Watches all readers whose name contains `name`; an empty one means all.
    ///
    /// # Errors
    /// In words, when `pcscd` does not run or there can be no thread.
    pub fn start(name: &str) -> Result<Self, String> {
        let context = Context::establish(Scope::System)
            .map_err(|error| format!("PC/SC cannot be used: {error}; is pcscd installed and running?"))?;
        let stop = CancellationToken::new();
        let (tx, events) = mpsc::channel(EVENTS);
        let watcher = Watcher {
            context: context.clone(),
            name: name.to_owned(),
            events: tx,
            stop: stop.clone(),
            readers: vec![ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE)],
        };
        std::thread::Builder::new()
            .name("pcsc".to_owned())
            .spawn(move || watcher.run())
            .map_err(|error| format!("no thread could be had for PC/SC: {error}"))?;
        Ok(Self { events, stop, context })
    }
}

struct Watcher {
    context: Context,
    name: String,
    events: mpsc::Sender<ReaderEvent>,
    stop: CancellationToken,
    /// The first is the notification about readers themselves.
    readers: Vec<ReaderState>,
}

impl Watcher {
    fn run(mut self) {
        while !self.stop.is_cancelled() {
            if !self.list() {
                return;
            }
            for reader in &mut self.readers {
                reader.sync_current_state();
            }
            match self.context.get_status_change(WAIT, &mut self.readers) {
                Ok(()) => {}
                Err(pcsc::Error::Timeout) => continue,
                Err(pcsc::Error::Cancelled) => return,
                Err(error) => {
                    // The daemon was stopped: whoever started us decides whether to begin again.
                    tell(&self.events, ReaderEvent::Down(format!("PC/SC failed: {error}")));
                    return;
                }
            }
            for at in 1..self.readers.len() {
                let reader = &self.readers[at];
                let came = reader.event_state().contains(State::PRESENT)
                    && !reader.current_state().contains(State::PRESENT);
                let muted = reader.event_state().contains(State::MUTE);
                if came && !muted && !self.card(reader.name()) {
                    return;
                }
            }
        }
    }

    /// Takes note of readers that came and went. Whether somebody still listens.
    fn list(&mut self) -> bool {
        let present = match self.context.list_readers_owned() {
            Ok(present) => present,
            Err(pcsc::Error::NoReadersAvailable) => Vec::new(),
            Err(error) => {
                tell(&self.events, ReaderEvent::Down(format!("PC/SC failed: {error}")));
                return false;
            }
        };
        let wanted: Vec<CString> =
            present.into_iter().filter(|reader| reader.to_string_lossy().contains(&self.name)).collect();
        let mut heard = true;
        let (name, events) = (PNP_NOTIFICATION(), &self.events);
        self.readers.retain(|reader| {
            let stays = reader.name() == name
                || (wanted.iter().any(|wanted| wanted.as_c_str() == reader.name())
                    && !reader.event_state().intersects(State::UNKNOWN | State::IGNORE));
            if !stays {
                heard &=
                    tell(events, ReaderEvent::Down(format!("PC/SC reader {} is gone", shown(reader.name()))));
            }
            stays
        });
        for reader in wanted {
            if !self.readers.iter().any(|known| known.name() == reader.as_c_str()) {
                heard &= tell(&self.events, ReaderEvent::Up(format!("PC/SC reader {}", shown(&reader))));
                self.readers.push(ReaderState::new(reader, State::UNAWARE));
            }
        }
        heard
    }

    /// Asks a card who it is. Whether somebody still listens.
    fn card(&self, reader: &CStr) -> bool {
        match self.uid(reader) {
            Ok(Some(uid)) => tell(&self.events, ReaderEvent::Badge(PlainBadge::Uid(uid))),
            Ok(None) => {
                tracing::info!(reader = %shown(reader), "a card that gives no UID was shown");
                true
            }
            Err(error) => {
                // Taken away while it was asked, most often.
                tracing::debug!(%error, reader = %shown(reader), "a card could not be asked");
                true
            }
        }
    }

    fn uid(&self, reader: &CStr) -> Result<Option<Uid>, pcsc::Error> {
        let card = self.context.connect(reader, ShareMode::Shared, Protocols::ANY)?;
        let mut room = [0_u8; 64];
        let answer = card.transmit(&GET_UID, &mut room)?;
        let uid = answer.strip_suffix(&[0x90, 0x00]).and_then(Uid::new);
        if let Err((_, error)) = card.disconnect(Disposition::LeaveCard) {
            tracing::debug!(%error, "a card was gone before it was let go");
        }
        Ok(uid)
    }
}

fn shown(name: &CStr) -> std::borrow::Cow<'_, str> {
    name.to_string_lossy()
}
