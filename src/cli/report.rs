//! `jiebei report RESULT --format html,xlsx,csv,json,ocsf,md`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::args::ReportArguments;
use super::{Conduct, Exit, Failure};
use crate::audit::Regulation;
use crate::link::privilege;
use crate::report::{self, Format};
use crate::result::{self, Folder};

pub fn run(conduct: &Conduct, arguments: ReportArguments) -> Result<Exit, Failure> {
    let formats = formats(conduct, &arguments.format)?;
    let result = read(conduct, &arguments.result)?;
    // A regulation that does not come with the program is not at hand: its sentences stay as they are.
    let result = match result.sweep.regulation.as_deref().and_then(Regulation::built_in) {
        Some(regulation) => report::retell(&result, &conduct.texts, &regulation),
        None => result,
    };
    let place = arguments.result.parent().filter(|_| !arguments.result.is_dir());
    let beside = place.unwrap_or(&arguments.result);
    let beside = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
    let out = arguments.out.as_deref().unwrap_or(beside);
    let unwritable = |path: &Path, cause: io::Error| {
        let path = path.display().to_string();
        let arguments = [("path", path.into()), ("cause", cause.to_string().into())];
        Failure::in_part(conduct.say("cli-unwritable", &arguments))
    };
    let to_stdout =
        out == Path::new("-") || arguments.out.is_none() && arguments.result == Path::new("-");
    if to_stdout {
        let [format] = formats.as_slice() else {
            return Err(Failure::usage(conduct.say("cli-report-one-format", &[])));
        };
        let mut stdout = io::stdout().lock();
        let written =
            format.write(&result, &conduct.texts, &mut stdout).and_then(|()| stdout.flush());
        return match written {
            Ok(()) => Ok(Exit::Done),
            // Who closed the pipe has read enough.
            Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(fault) => Err(unwritable(Path::new("-"), fault)),
        };
    }
    let own = |file: &File| privilege::give_to_owner(file);
    let as_file = out.extension().is_some() && !out.is_dir();
    if as_file {
        let [format] = formats.as_slice() else {
            return Err(Failure::usage(conduct.say("cli-report-one-format", &[])));
        };
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Folder::open(parent.unwrap_or(Path::new(".")), Some(&own))
            .map_err(|cause| unwritable(out, cause))?;
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned());
        folder
            .put(&name.unwrap_or_default(), &mut |file| format.write(&result, &conduct.texts, file))
            .map_err(|cause| unwritable(out, cause))?;
        conduct.tell(&out.display().to_string());
        return Ok(Exit::Done);
    }
    let folder = Folder::open(out, Some(&own)).map_err(|cause| unwritable(out, cause))?;
    report::put(&folder, &result, &conduct.texts, &formats)
        .map_err(|cause| unwritable(out, cause))?;
    for format in &formats {
        conduct.tell(&out.join(format.file_name()).display().to_string());
    }
    Ok(Exit::Done)
}

fn formats(conduct: &Conduct, words: &[String]) -> Result<Vec<&'static dyn Format>, Failure> {
    words
        .iter()
        .map(|word| {
            report::named(word.trim()).ok_or_else(|| {
                let known: Vec<_> = report::ALL.iter().map(|format| format.name()).collect();
                let shown = crate::observe::Foreign::new(word).terminal();
                let arguments = [("word", shown.into()), ("known", known.join(" ").into())];
                Failure::usage(conduct.say("cli-report-unknown-format", &arguments))
            })
        })
        .collect()
}

/// A result by its file, its folder, or `-`.
pub fn read(conduct: &Conduct, path: &Path) -> Result<result::v1::SweepResult, Failure> {
    let read = if path == Path::new("-") {
        result::read_from(io::stdin().lock(), "-")
    } else {
        result::read(path)
    };
    read.map_err(|fault| {
        Failure::usage(conduct.say("cli-result-refused", &[("cause", fault.to_string().into())]))
    })
}
