//! The result itself.

use std::io::{self, Write};

use super::Format;
use crate::result::v1::SweepResult;
use crate::result::{names, write_to};
use crate::texts::Texts;

pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn file_name(&self) -> &'static str {
        names::RESULT
    }

    fn write(&self, result: &SweepResult, _: &Texts, out: &mut dyn Write) -> io::Result<()> {
        write_to(result, out)
    }
}
