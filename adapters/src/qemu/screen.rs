//! A picture of a machine's screen.

use std::path::Path;

use primrack_adapter_api::AdapterError;
use qapi::qmp::{self, ImageFormat};

use super::client::Qmp;

/// The largest picture that is read.
const LARGEST: u64 = 8 << 20;

/// What its first screen shows, as PNG; `None` where it has none. QEMU writes the picture into a file of
/// ours, which is gone afterwards.
pub(super) async fn shot(qmp: &Qmp, file: &Path) -> Result<Option<Vec<u8>>, AdapterError> {
    let taken = qmp
        .run(qmp::screendump {
            device: None,
            head: None,
            format: Some(ImageFormat::png),
            filename: file.display().to_string(),
        })
        .await;
    let read = match taken {
        Ok(_) => read(file).await,
        // Without a graphics card there is no screen; QEMU has no other sign of it.
        Err(AdapterError::Refused(why)) => {
            tracing::debug!(why, "no picture");
            Ok(None)
        }
        Err(why) => Err(why),
    };
    if let Err(why) = tokio::fs::remove_file(file).await
        && why.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %why, "a picture stays");
    }
    read
}

async fn read(file: &Path) -> Result<Option<Vec<u8>>, AdapterError> {
    let failed =
        |why: std::io::Error| AdapterError::Unreachable(format!("the picture cannot be read: {why}"));
    if tokio::fs::metadata(file).await.map_err(failed)?.len() > LARGEST {
        return Err(AdapterError::Refused(format!("the picture is larger than {LARGEST} bytes")));
    }
    tokio::fs::read(file).await.map(Some).map_err(failed)
}
