//! The demonstration's folder: configuration, policy, keys, written once and then the user's own.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use primrack_model::ObjectId;

use crate::command::object::enrol;

use super::machines::machines;
use crate::rack::Avatar;

/// The configuration as it is first written.
const SEED: &str = include_str!("seed.toml");
/// Its policies: the ones that Primrack ships.
const STARTER: &str = include_str!("../../../policy/starter.cedar");
const GUESTS: &str = include_str!("../../../policy/guests.cedar");
const DATABASE: &str = include_str!("database.cedar");

/// The object that the demonstration plays in the terminal.
pub(crate) const RACK: &str = "rack-1";
/// Its board, as the seed names it.
pub(crate) const BOARD: &str = "gate";
/// What stands in its room.
const OBJECTS: [&str; 6] = [RACK, "door-1", "switch-1", "lamp-1", "alarm-1", "letter-box-1"];

/// The badge that each visitor carries: its number is that of nobody's real one.
pub(crate) const BADGES: [(&str, &str); 3] =
    [("Ada", "04ADA1B2C3D4E5"), ("Bob", "04B0B1B2C3D4E5"), (STRANGER, "04E7E1B2C3D4E5")];
/// Whose badge nobody knows.
const STRANGER: &str = "Eve";

/// The folder of a demonstration.
#[derive(Debug, Clone)]
pub struct House {
    folder: PathBuf,
}

impl House {
    /// The folder given, or `primrack-demo` in the user's folder for caches (XDG base directories).
    ///
    /// # Errors
    /// When none is given and there is no home.
    pub fn at(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let cache = || {
            let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            xdg.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        };
        let folder = match folder {
            Some(folder) => std::path::absolute(folder)?,
            None => cache()
                .ok_or_else(|| anyhow!("there is no home folder here: name one with --dir"))?
                .join("primrack-demo"),
        };
        Ok(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("primrack.toml")
    }
    /// Whether there is one.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.config().exists()
    }

    /// Writes what is missing, and points its servers at this program.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn furnish(&self) -> anyhow::Result<()> {
        let words =
            || format!("the demonstration's folder {} cannot be written: try --dir", self.folder.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).with_context(words)?;
        let program = self.folder.join("primrack");
        if std::fs::symlink_metadata(&program).is_ok() {
            std::fs::remove_file(&program).with_context(words)?;
        }
        // The servers' command names the link, so that a rebuilt program needs no other configuration.
        symlink(std::env::current_exe()?, &program).with_context(words)?;
        for (name, text) in
            [("starter.cedar", STARTER), ("guests.cedar", GUESTS), ("database.cedar", DATABASE)]
        {
            let path = self.folder.join(name);
            if !path.exists() {
                std::fs::write(&path, text).with_context(words)?;
            }
        }
        let keys = self.folder.join("world.keys");
        if !keys.exists() {
            for object in OBJECTS {
                enrol(&keys, &ObjectId::new(object)?)?;
            }
        }
        let badges = self.folder.join("badges");
        if !badges.exists() {
            let mut file =
                File::options().write(true).create_new(true).mode(0o600).open(&badges).with_context(words)?;
            let known = BADGES.iter().filter(|(name, _)| *name != STRANGER);
            for (name, uid) in known {
                writeln!(file, "{uid} {}", name.to_lowercase()).with_context(words)?;
            }
        }
        if !self.exists() {
            let program =
                program.to_str().ok_or_else(|| anyhow!("the folder's name is no text: try --dir"))?;
            let quoted = toml::Value::String(program.to_owned()).to_string();
            let seed = SEED
                .replace("\"PROGRAM\"", &quoted)
                .replace("ADA", &Avatar::named("Ada").id)
                .replace("BOB", &Avatar::named("Bob").id);
            std::fs::write(self.config(), format!("{seed}{}", machines())).with_context(words)?;
        }
        Ok(())
    }

    /// Removes it all. Only ever a folder that looks like one of ours.
    ///
    /// # Errors
    /// When it is another's, or cannot be removed.
    pub fn clear(&self) -> anyhow::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        let ours = std::fs::read_to_string(self.config()).is_ok_and(|text| text.starts_with(FIRST_LINE));
        if !ours {
            bail!(
                "{} does not look like a demonstration's folder, so nothing in it is removed",
                self.folder.display()
            );
        }
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("{} cannot be removed", self.folder.display()))
    }
}

/// How the seed begins.
const FIRST_LINE: &str = "# The demonstration of Primrack.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_furnished_house_checks_and_a_foreign_folder_is_not_cleared() {
        let folder = tempfile::tempdir().unwrap();
        assert!(SEED.starts_with(FIRST_LINE));
        let house = House::at(Some(folder.path().join("demo"))).unwrap();
        house.furnish().unwrap();
        house.furnish().unwrap();
        let loaded = crate::config::read(&house.config(), std::iter::empty()).unwrap();
        let checked = crate::compose::check(loaded).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert!(checked.inventory.targets().len() >= 10);
        assert!(OBJECTS.iter().all(|object| checked.keys.knows(object)));
        house.clear().unwrap();
        assert!(!house.exists());
        let foreign = House::at(Some(folder.path().to_owned())).unwrap();
        std::fs::write(foreign.config(), "[bridge]\n").unwrap();
        assert!(foreign.clear().is_err() && foreign.exists());
    }
}
