//! One BMC: one request at a time over a session that is opened anew when it was lost.
//!
//! A lost session is not told from a lost packet: the BMC answers neither. So what only asks is asked
//! again over a new session, and an order goes over a session that has just answered, once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipmi::{ChassisControl, ChassisStatus, Client, Error, PrivilegeLevel};
use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use secrecy::ExposeSecret as _;

use crate::web::read_secret;

use super::map::wrong;

/// How often a packet is sent: the same packet, so that a BMC which has it already drops it (IPMI 2.0, 6.12.13).
const ATTEMPTS: u32 = 2;
/// How long after a refused password none is shown again.
const LOCKED: Duration = Duration::from_secs(60);
/// `Set Session Privilege Level` (IPMI 2.0, 22.18): many grant only User until asked.
const SET_PRIVILEGE: (u8, u8) = (0x06, 0x3b);

pub(super) struct Bmc {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password_file: PathBuf,
    /// How long a packet waits for its answer.
    patience: Duration,
    /// Taken out while it is used: one that was dropped half-way is not used again.
    session: tokio::sync::Mutex<Option<Client>>,
    refused: Mutex<Option<(Instant, String)>>,
}

impl std::fmt::Debug for Bmc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bmc({}:{})", self.host, self.port)
    }
}

impl Bmc {
    pub(super) fn new(host: &str, port: u16, user: &str, password_file: PathBuf, patience: Duration) -> Self {
        Self {
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            password_file,
            patience,
            session: tokio::sync::Mutex::new(None),
            refused: Mutex::default(),
        }
    }

    /// How its chassis is.
    pub(super) async fn status(&self) -> Result<ChassisStatus, AdapterError> {
        let mut place = self.session.lock().await;
        let (client, status) = self.proven(place.take()).await?;
        *place = Some(client);
        Ok(status)
    }

    /// Hands it an order, once. `Ok` means taken, not done.
    pub(super) async fn order(&self, control: ChassisControl) -> Result<(), AdapterError> {
        let mut place = self.session.lock().await;
        let (client, _) = self.proven(place.take()).await?;
        match client.chassis_control(control).await {
            Ok(()) => {
                *place = Some(client);
                Ok(())
            }
            Err(why @ Error::CompletionCode { .. }) => {
                *place = Some(client);
                Err(wrong(&why))
            }
            Err(why) => Err(wrong(&why)),
        }
    }

    /// Ends its session: a BMC has few.
    pub(super) async fn farewell(&self) {
        let client = self.session.lock().await.take();
        if let Some(client) = client
            && let Err(why) = client.close_session().await
        {
            tracing::debug!(bmc = ?self, %why, "a session was left to its own time-out");
        }
    }

    /// A session that has just answered, and what it said.
    async fn proven(&self, kept: Option<Client>) -> Result<(Client, ChassisStatus), AdapterError> {
        if let Some(client) = kept
            && let Ok(status) = client.get_chassis_status().await
        {
            return Ok((client, status));
        }
        let client = self.open().await?;
        let status = client.get_chassis_status().await.map_err(|why| wrong(&why))?;
        Ok((client, status))
    }

    async fn open(&self) -> Result<Client, AdapterError> {
        if let Some((until, why)) = &*self.refused.lock()
            && Instant::now() < *until
        {
            return Err(AdapterError::Credentials(why.clone()));
        }
        let password = read_secret(&self.password_file).await?;
        let unreached = |words: String| AdapterError::Unreachable(format!("{}: {words}", self.host));
        let mut places = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|why| unreached(why.to_string()))?;
        let place = places.next().ok_or_else(|| unreached("it has no address".to_owned()))?;
        let made = Client::builder(place)
            .username(&self.user)
            .password(password.expose_secret())
            .privilege_level(PrivilegeLevel::Administrator)
            .timeout(self.patience)
            .retries(ATTEMPTS)
            .build()
            .await;
        let client = match made {
            Ok(client) => client,
            Err(Error::AuthenticationFailed(_)) => return Err(self.refuse()),
            Err(why) => return Err(wrong(&why)),
        };
        for level in [PrivilegeLevel::Administrator, PrivilegeLevel::Operator] {
            let (function, command) = SET_PRIVILEGE;
            let answer =
                client.send_raw(function, command, &[level as u8]).await.map_err(|why| wrong(&why))?;
            if answer.completion_code == 0 {
                break;
            }
        }
        Ok(client)
    }

    fn refuse(&self) -> AdapterError {
        let words = format!(
            "the BMC does not know this user and password: check user and {}; it is not tried again for {} s, since \
             BMCs lock accounts",
            self.password_file.display(),
            LOCKED.as_secs()
        );
        *self.refused.lock() = Some((Instant::now() + LOCKED, words.clone()));
        AdapterError::Credentials(words)
    }
}
