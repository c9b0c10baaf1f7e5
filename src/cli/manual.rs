//! `jiebei completions SHELL` and `jiebei man [DIR]`.

use std::io::Write;

use super::args::{CompletionsArguments, ManArguments};
use super::{Conduct, Exit, Failure, args};

pub fn completions(conduct: &Conduct, arguments: CompletionsArguments) -> Result<Exit, Failure> {
    let mut command = args::command(&conduct.texts);
    clap_complete::generate(arguments.shell, &mut command, "jiebei", &mut std::io::stdout());
    Ok(Exit::Done)
}

/// The main page on stdout, or a page for every command into a folder.
pub fn man(conduct: &Conduct, arguments: ManArguments) -> Result<Exit, Failure> {
    let mut command = args::command(&conduct.texts);
    command.build();
    let unwritable = |path: String, cause: std::io::Error| {
        let arguments = [("path", path.into()), ("cause", cause.to_string().into())];
        Failure::in_part(conduct.say("cli-unwritable", &arguments))
    };
    match arguments.dir {
        Some(dir) => clap_mangen::generate_to(command, &dir)
            .map_err(|cause| unwritable(dir.display().to_string(), cause))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .and_then(|()| std::io::stdout().write_all(&page))
                .map_err(|cause| unwritable("-".into(), cause))?;
        }
    }
    Ok(Exit::Done)
}
