//! `jiebei profile list | show | check | keygen | sign`.

use std::path::{Path, PathBuf};

use super::args::{ProfileArguments, ProfileCommand};
use super::{Conduct, Exit, Failure};
use crate::sweep::profile::{self, BUILT_IN, Profile, Refused, SecretRef, SignatureState, Trust};

/// Where a machine keeps the keys it trusts.
pub const TRUST_FILE: &str = "/etc/jiebei/trust.toml";

pub fn run(conduct: &Conduct, arguments: ProfileArguments) -> Result<Exit, Failure> {
    match arguments.command {
        ProfileCommand::List => list(conduct),
        ProfileCommand::Show { name } => {
            conduct.put(text_of(conduct, &name)?.trim_end_matches('\n'))?;
            Ok(Exit::Done)
        }
        ProfileCommand::Check { file, trust } => {
            let profile = load(conduct, &file)?;
            let name = [("name", profile.name.clone().into())];
            conduct.put(conduct.say("cli-profile-good", &name))?;
            match signature_state(conduct, &profile, trust.as_deref())? {
                SignatureState::Invalid => {
                    Err(Failure::usage(conduct.say("sweep-signature-invalid", &[])))
                }
                _ => Ok(Exit::Done),
            }
        }
        ProfileCommand::Keygen => {
            let (private, public) = profile::keygen().map_err(|fault| bad_key(conduct, &fault))?;
            conduct.tell(&conduct.say("cli-profile-key-private", &[]));
            conduct.put(private)?;
            conduct.tell(&conduct.say("cli-profile-key-public", &[]));
            conduct.put(public)?;
            Ok(Exit::Done)
        }
        ProfileCommand::Sign { file, key } => {
            let profile = load(conduct, &file)?;
            let reference = SecretRef::of(&key)
                .ok_or_else(|| Failure::usage(conduct.say("profile-fault-secret-mend", &[])))?;
            let secret = reference.resolve().map_err(|fault| bad_key(conduct, &fault))?;
            let key = String::from_utf8_lossy(secret.reveal()).into_owned();
            let signature = profile::sign(&profile.authorisation, &key)
                .map_err(|fault| bad_key(conduct, &fault))?;
            conduct.tell(&conduct.say("cli-profile-signed", &[]));
            conduct.put(format_args!("signature = \"{signature}\""))?;
            Ok(Exit::Done)
        }
    }
}

fn list(conduct: &Conduct) -> Result<Exit, Failure> {
    for (name, text) in BUILT_IN {
        let profile = profile::read(text, name).map_err(|refused| complaint(conduct, &refused))?;
        let rate = profile.rate.packets_per_second;
        let description = profile.description.unwrap_or_default();
        conduct.put(format_args!("{name:<12} {rate:>5}/s  {description}"))?;
    }
    Ok(Exit::Done)
}

/// The text of a profile by its file, or else by its built-in name.
fn text_of(conduct: &Conduct, name: &str) -> Result<String, Failure> {
    let path = PathBuf::from(name);
    if path.is_file() {
        let unreadable = |cause: std::io::Error| {
            let path = path.display().to_string();
            let arguments = [("path", path.into()), ("cause", cause.to_string().into())];
            Failure::usage(conduct.say("cli-unreadable", &arguments))
        };
        let length = std::fs::metadata(&path).map_err(unreadable)?.len();
        let most = profile::MOST_OCTETS as u64;
        if length > most {
            return Err(unreadable(std::io::Error::other(format!("{length} > {most} octets"))));
        }
        return std::fs::read_to_string(&path).map_err(unreadable);
    }
    profile::built_in(name).map(str::to_owned).ok_or_else(|| {
        let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let shown = crate::observe::Foreign::new(name).terminal();
        let arguments = [("name", shown.into()), ("known", known.join(" ").into())];
        Failure::usage(conduct.say("cli-profile-unknown", &arguments))
    })
}

/// A profile by file or built-in name, or the paragraph that names every fault of it.
pub fn load(conduct: &Conduct, name: &str) -> Result<Profile, Failure> {
    let text = text_of(conduct, name)?;
    profile::read(&text, name).map_err(|refused| complaint(conduct, &refused))
}

fn complaint(conduct: &Conduct, refused: &Refused) -> Failure {
    let mut paragraph =
        conduct.say("cli-profile-refused", &[("count", refused.faults.len().into())]);
    for fault in &refused.faults {
        let place = conduct.say(
            "cli-profile-fault",
            &[
                ("file", refused.file.clone().into()),
                ("row", fault.row.to_string().into()),
                ("column", fault.column.to_string().into()),
                ("key", fault.key.clone().into()),
                ("value", crate::observe::Foreign::new(&fault.value).terminal().into()),
            ],
        );
        let argument = [("argument", fault.kind.argument().into())];
        let word = fault.kind.word();
        let what = conduct.say(word, &argument);
        let mend = conduct.say(&format!("{word}-mend"), &argument);
        paragraph += &format!("\n  {place}\n    {what} → {mend}");
    }
    Failure::usage(paragraph)
}

fn bad_key(conduct: &Conduct, fault: &dyn std::fmt::Display) -> Failure {
    Failure::usage(conduct.say("cli-key", &[("cause", fault.to_string().into())]))
}

/// What the signature of a profile is worth here; `trust` is the file given on the command line.
pub fn signature_state(
    conduct: &Conduct,
    profile: &Profile,
    trust: Option<&Path>,
) -> Result<SignatureState, Failure> {
    Ok(match trusted(conduct, trust)? {
        Some(trust) => trust.check(&profile.authorisation),
        None if profile.authorisation.signature.is_some() => SignatureState::Unchecked,
        None => SignatureState::Absent,
    })
}

/// The machine's trust file. One that was named must exist; the usual one may be absent.
pub fn trusted(conduct: &Conduct, named: Option<&Path>) -> Result<Option<Trust>, Failure> {
    let refuse =
        |cause: String| Failure::usage(conduct.say("cli-trust", &[("cause", cause.into())]));
    let path = named.unwrap_or(Path::new(TRUST_FILE));
    match Trust::load(path) {
        Ok(None) if named.is_some() => Err(refuse(format!("{}: ?", path.display()))),
        Ok(trust) => Ok(trust),
        Err(fault) => Err(refuse(fault.to_string())),
    }
}

/// What a sweep is that names no profile: the gentle defaults of every key.
pub fn gentle() -> Profile {
    match profile::read("", "default") {
        Ok(profile) => profile,
        Err(_) => unreachable!("an empty profile has no faults; a test holds it"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_empty_profile_is_a_gentle_one() {
        let profile = super::gentle();
        assert_eq!(profile.name, "default");
        assert_eq!(profile.rate.packets_per_second, 1000);
        assert_eq!(profile.rate.per_target, 40);
    }
}
