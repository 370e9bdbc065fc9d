//! `primrack object list`

use std::process::ExitCode;

use clap::Args;
use primrack_model::UnixMs;
use serde_json::json;

use crate::command::ControlSocket;
use crate::compose::keys_path;
use crate::control::ObjectNow;
use crate::out::{complain, line};
use crate::show;

/// Lists objects: where they stand, when they were heard, which are silent.
#[derive(Debug, Args)]
pub(super) struct List {
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::command::runtime()?.block_on(self.list())
    }

    async fn list(self) -> anyhow::Result<ExitCode> {
        let Self { json, control } = self;
        let asked = control.control()?;
        let running = asked.is_there().await;
        let objects: Vec<ObjectNow> = match &running {
            Ok(()) => asked.get("/objects").await?,
            // Without a bridge the files tell what is configured and enrolled, and nothing else.
            Err(why) => {
                complain(&format!("{why}. From the files:"));
                from_files(&control)?
            }
        };
        if objects.is_empty() && !json {
            line("No objects are configured: add an [objects.ID] table.")?;
        }
        for object in &objects {
            if json {
                let mut value = serde_json::to_value(object)?;
                value["running"] = json!(running.is_ok());
                line(&value.to_string())?;
            } else {
                line(&in_words(object, running.is_ok(), UnixMs::now()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn from_files(control: &ControlSocket) -> anyhow::Result<Vec<ObjectNow>> {
    let loaded = control.config.read()?;
    let ring = primrack_world::Keyring::read(&keys_path(&loaded));
    if let Err(error) = &ring {
        complain(&error.to_string());
    }
    let ring = ring.unwrap_or_default();
    let object = |(id, object): (&smol_str::SmolStr, &crate::config::ObjectConfig)| ObjectNow {
        object: id.clone(),
        label: object.label.clone().unwrap_or_else(|| id.clone()),
        enrolled: ring.knows(id),
        region: None,
        grid: None,
        heard: None,
        silent: None,
        rival: None,
        waiting: 0,
    };
    Ok(loaded.config.objects.iter().map(object).collect())
}

fn in_words(object: &ObjectNow, running: bool, now: UnixMs) -> String {
    let mut notes = Vec::new();
    if !object.enrolled {
        notes.push(format!("no key: `primrack object enrol {}`", object.object));
    }
    match (&object.region, running) {
        (Some(region), _) => notes.push(format!("in {region}")),
        (None, true) if object.enrolled => notes.push("never registered".to_owned()),
        (None, _) => {}
    }
    if let Some(grid) = object.grid.as_ref().filter(|grid| !grid.is_empty()) {
        notes.push(format!("on {grid}"));
    }
    if let Some(heard) = object.heard {
        notes.push(format!("heard {} ago", show::age(heard, now)));
    }
    if let Some(silent) = object.silent {
        notes.push(format!("SILENT for {}, {} units wait", show::age(silent, now), object.waiting));
    }
    if let Some(rival) = &object.rival {
        notes.push(format!("RIVAL: {rival} wants its id"));
    }
    if notes.is_empty() {
        notes.push("enrolled".to_owned());
    }
    format!("{} {}", show::column(&object.object, 16), show::plain(&notes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_object_is_shown_with_its_age() {
        let object = ObjectNow {
            object: "rack-1".into(),
            label: "rack-1".into(),
            enrolled: true,
            region: Some("Lab".into()),
            grid: None,
            heard: Some(UnixMs(0)),
            silent: Some(UnixMs(60_000)),
            rival: None,
            waiting: 3,
        };
        let words = in_words(&object, true, UnixMs(240_000));
        assert_eq!(words, "rack-1           in Lab, heard 4 min ago, SILENT for 3 min, 3 units wait");
    }
}
