//! Checks scripts: `cargo run -p primrack-lsl --example lsl -- check secondlife FILE…` (`check-json` for JSON).

use primrack_lsl::Profile;
use primrack_lsl::console::{Format, check_files};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(command), Some(profile)) = (args.next(), args.next()) else {
        return Err("usage: lsl check|check-json PROFILE FILE…".into());
    };
    let profile: Profile = profile.parse()?;
    let format = if command == "check-json" { Format::Json } else { Format::Human };
    let files: Vec<_> = args.map(Into::into).collect();
    let ok = check_files(&files, &[profile], format, &mut std::io::stdout().lock())?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
