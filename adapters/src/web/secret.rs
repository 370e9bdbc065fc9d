//! Secrets, each in a file of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use primrack_adapter_api::AdapterError;
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;

/// No password or token is longer.
const LONGEST: u64 = 16 * 1024;

/// Reads a secret: the file's text without white space at its end.
///
/// # Errors
/// [`AdapterError::Credentials`] when it cannot be read, is empty, too long, no text, or when others
/// than its owner may read it. The words name the file, never what is in it.
pub(crate) async fn read_secret(path: &Path) -> Result<SecretString, AdapterError> {
    let wrong = |words: String| AdapterError::Credentials(format!("{}: {words}", path.display()));
    let read = |error: std::io::Error| wrong(format!("the file with the secret cannot be read: {error}"));
    let file = tokio::fs::File::open(path).await.map_err(read)?;
    let about = file.metadata().await.map_err(read)?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!("others may read this secret (mode {mode:o}): run chmod 600 on it")));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).await.map_err(read)?;
    if text.len() as u64 > LONGEST {
        return Err(wrong(format!("a secret has at most {LONGEST} bytes: this is another file")));
    }
    text.truncate(text.trim_end().len());
    if text.is_empty() {
        return Err(wrong("the file is empty: write the secret into it".to_owned()));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test]
    async fn a_secret_is_for_its_owner_only_and_never_in_the_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "open sesame\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match read_secret(&path).await {
                Ok(secret) => assert!(fine && secret.expose_secret() == "open sesame"),
                Err(AdapterError::Credentials(words)) => {
                    assert!(!fine && words.contains("chmod 600") && !words.contains("sesame"), "{words}");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for text in [Vec::new(), b" \n".to_vec(), vec![b'a'; 20_000], vec![0xff, 0xfe]] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read_secret(&path).await, Err(AdapterError::Credentials(_))));
        }
        assert!(read_secret(&folder.path().join("absent")).await.is_err());
    }
}
