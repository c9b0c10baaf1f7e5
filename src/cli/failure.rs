//! How a command ends, and the paragraph that says why it did not.

use std::process::ExitCode;

/// Contract §1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// Not done, or done in part.
    InPart,
    /// Wrong usage, profile or registry.
    Usage,
    /// Done, and findings at or above `--fail-on` exist.
    Findings,
    /// Interrupted; what was done is kept.
    Interrupted,
}

impl Exit {
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::InPart => 1,
            Exit::Usage => 2,
            Exit::Findings => 3,
            Exit::Interrupted => 4,
        })
    }
}

/// A clear paragraph for stderr, in the user's language already.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub paragraph: String,
}

impl Failure {
    pub fn in_part(paragraph: impl Into<String>) -> Failure {
        Failure { exit: Exit::InPart, paragraph: paragraph.into() }
    }

    pub fn usage(paragraph: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, paragraph: paragraph.into() }
    }
}
