//! `primrack object`: keys of racks, how they stand, and a rack in the terminal.

mod enrol;
mod line;
mod list;
mod play;
mod screen;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(crate) use enrol::enrol;
pub(crate) use play::{Keeper, play};

/// Objects in the world: their keys, how they stand, and one to play in the terminal.
#[derive(Debug, Args)]
pub struct Object {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Plays a rack in the terminal: registers, shows the units, touches (a simulated object)
    Play(play::Play),
    /// Makes a key for an object and prints its notecard
    Enrol(enrol::Enrol),
    /// Makes a new key for an object; the old one is valid for a while beside it
    Rotate(enrol::Rotate),
    /// Lists objects: where they stand, when they were heard, which are silent
    List(list::List),
}

impl Object {
    /// Runs it.
    ///
    /// # Errors
    /// In the words of what was tried.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Play(play) => play.run(),
            What::Enrol(enrol) => enrol.run(),
            What::Rotate(rotate) => rotate.run(),
            What::List(list) => list.run(),
        }
    }
}
