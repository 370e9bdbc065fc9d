//! Checks and runs scripts: `cargo run -p primrack-lsl --example lsl -- check secondlife FILE…`
//! (`check-json` for JSON, `run` for one file).

use primrack_lsl::Profile;
use primrack_lsl::console::{Format, RunEnd, RunError, RunOptions, check_files, run_source};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(command), Some(profile)) = (args.next(), args.next()) else {
        return Err("usage: lsl check|check-json|run PROFILE FILE…".into());
    };
    let profile: Profile = profile.parse()?;
    let files: Vec<std::path::PathBuf> = args.map(Into::into).collect();
    let mut out = std::io::stdout().lock();
    if command == "run" {
        let file = files.first().ok_or("run needs a file")?;
        let source = std::fs::read_to_string(file)?;
        return match run_source(&source, RunOptions { profile, ..RunOptions::default() }, &mut out) {
            Ok(RunEnd::Stopped(_)) => Ok(ExitCode::FAILURE),
            Ok(_) => Ok(ExitCode::SUCCESS),
            Err(RunError::Check(found)) => {
                std::io::Write::write_all(
                    &mut out,
                    found.render(&file.display().to_string(), &source).as_bytes(),
                )?;
                Ok(ExitCode::FAILURE)
            }
            Err(e) => Err(e.into()),
        };
    }
    let format = if command == "check-json" { Format::Json } else { Format::Human };
    let ok = check_files(&files, &[profile], format, &mut out)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
