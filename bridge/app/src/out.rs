//! What the commands print: results on standard output, complaints on standard error.

use std::io::{self, Write as _};

/// One line of a result. A reader that has gone away ends the program's interest, not with an error.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn line(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A complaint. Where even that cannot be written, the exit code speaks.
pub fn complain(text: &str) {
    let _unheard = writeln!(io::stderr(), "{text}");
}
