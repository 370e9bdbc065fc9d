//! What is done to a machine. Everything is checked against its state first, since the daemon's own
//! words for a wrong moment differ from driver to driver.

use primrack_adapter_api::{AdapterError, Hint};
use primrack_model::Action;

use super::adapter::address;
use super::client::Connection;
use super::driver::Driver;
use super::protocol::{Domain, Procedure};
use super::{LibvirtConfig, copies, map};

/// What a paused state is (virDomainState).
const PAUSED: i32 = 3;
/// How a container is asked (virDomainShutdownFlagValues and virDomainRebootFlagValues agree on these).
const BY_INITCTL: u32 = 4;
const BY_SIGNAL: u32 = 8;

/// Does it, and returns what the daemon itself will tell nobody.
pub(super) async fn act(
    connection: &Connection,
    config: &LibvirtConfig,
    domain: &Domain,
    action: Action,
) -> Result<Vec<Hint>, AdapterError> {
    let driver = config.driver();
    if !driver.capabilities().can(action) {
        return Err(AdapterError::NotSupported(format!("{} has no action {action}", config.uri)));
    }
    let (state, _) = connection.state(domain).await?;
    let changed = vec![Hint::Changed(address(domain))];
    match action {
        Action::Start | Action::Restore => {
            start(connection, domain, state, action == Action::Restore).await?;
        }
        Action::SoftOff => {
            // Who is held cannot hear.
            if state == PAUSED {
                connection.tell(Procedure::DomainResume, domain).await?;
            }
            ask(connection, driver, Procedure::DomainShutdownFlags, domain).await?;
        }
        Action::HardOff => {
            if state == map::SHUTOFF && connection.is_saved(domain).await? {
                // Told by no event.
                connection.tell_with(Procedure::DomainManagedSaveRemove, domain, 0).await?;
            } else {
                connection.tell(Procedure::DomainDestroy, domain).await?;
            }
        }
        Action::Reboot => ask(connection, driver, Procedure::DomainReboot, domain).await?,
        Action::Reset => connection.tell_with(Procedure::DomainReset, domain, 0).await?,
        Action::Pause => connection.tell(Procedure::DomainSuspend, domain).await?,
        Action::Resume if state == map::PM_SUSPENDED => {
            connection.tell_with(Procedure::DomainPmWakeup, domain, 0).await?;
        }
        Action::Resume => connection.tell(Procedure::DomainResume, domain).await?,
        Action::Save => connection.tell_with(Procedure::DomainManagedSave, domain, 0).await?,
        Action::Snapshot => copies::snapshot(connection, domain).await?,
        Action::Revert => copies::revert(connection, domain).await?,
        Action::Clone => copies::clone(connection, domain, state).await?,
        Action::Migrate => copies::migrate(connection, config, domain, state).await?,
        Action::Delete => copies::delete(connection, config, domain, state).await?,
    }
    if driver == Driver::Test && action == Action::Reboot {
        return Ok(super::adapter::reset(address(domain)));
    }
    Ok(changed)
}

/// Asks the guest to end or to begin anew, in the way that its driver prefers.
async fn ask(
    connection: &Connection,
    driver: Driver,
    procedure: Procedure,
    domain: &Domain,
) -> Result<(), AdapterError> {
    if driver != Driver::Lxc {
        return connection.tell_with(procedure, domain, 0).await;
    }
    // Left to itself libvirt 9.0 writes to the container's initctl, calls that a success even where there is none,
    // and never comes to the signal. What knows initctl takes the signal for a wish to read its configuration again.
    let initctl = connection.tell_with(procedure, domain, BY_INITCTL).await;
    let signal = connection.tell_with(procedure, domain, BY_SIGNAL).await;
    signal.or(initctl)
}

async fn start(
    connection: &Connection,
    domain: &Domain,
    state: i32,
    restore: bool,
) -> Result<(), AdapterError> {
    let name = &domain.name;
    if map::is_active(state) {
        return Err(AdapterError::Refused(format!("{name} runs already")));
    }
    let saved = state == map::SHUTOFF && connection.is_saved(domain).await?;
    if restore != saved {
        let words = if restore {
            "is not saved"
        } else {
            "is saved: restore it, or give its memory up with a hard off"
        };
        return Err(AdapterError::Refused(format!("{name} {words}")));
    }
    if state == map::CRASHED {
        // Kept for whoever wants to look at it; a start says that nobody does.
        connection.tell(Procedure::DomainDestroy, domain).await?;
    }
    connection.tell(Procedure::DomainCreate, domain).await
}
