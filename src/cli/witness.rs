//! A collector's log that was carried by hand, for `audit --witness`.

use std::io::Read;
use std::path::Path;

use super::{Conduct, Failure};
use crate::egress::ledger::{Extent, Ledger, MOST_OCTETS};
use crate::egress::token::EgressKey;
use crate::observe::Log;
use crate::result::v1::{Sweep, SweepNotice};
use crate::sweep::profile::SecretRef;
use crate::sweep::witnessed;

/// Where the key is looked for at last.
const VARIABLE: &str = "JIEBEI_EGRESS_KEY";

/// The egress key: as given, else by the profile, else where the sweep had it, else from the environment.
pub fn key(
    conduct: &Conduct,
    given: Option<&str>,
    profile: Option<&SecretRef>,
    sweep: &Sweep,
) -> Result<EgressKey, Failure> {
    let refuse = |place: String, cause: String| {
        let arguments = [("where", place.into()), ("cause", cause.into())];
        Failure::usage(conduct.say("cli-egress-key", &arguments))
    };
    let resolve = |reference: &SecretRef| -> Result<EgressKey, String> {
        let secret = reference.resolve().map_err(|fault| fault.to_string())?;
        EgressKey::from_hex(&String::from_utf8_lossy(secret.reveal()))
            .map_err(|fault| fault.to_string())
    };
    if let Some(text) = given {
        return match SecretRef::of(text) {
            Some(reference) => {
                resolve(&reference).map_err(|cause| refuse(reference.to_string(), cause))
            }
            None => EgressKey::from_hex(text)
                .map_err(|fault| refuse("--key".to_owned(), fault.to_string())),
        };
    }
    if let Some(reference) = profile {
        return resolve(reference).map_err(|cause| refuse(reference.to_string(), cause));
    }
    // What a result names may be elsewhere by now, and is only followed where it leads to a plain file.
    let kept = sweep.egress.as_ref().and_then(|egress| SecretRef::of(egress.key.as_deref()?));
    let is_plain = |reference: &SecretRef| match reference {
        SecretRef::Env(_) => true,
        SecretRef::File(path) => std::fs::metadata(path).is_ok_and(|meta| meta.is_file()),
    };
    if let Some(key) = kept.filter(is_plain).and_then(|reference| resolve(&reference).ok()) {
        return Ok(key);
    }
    let variable = SecretRef::Env(VARIABLE.to_owned());
    match variable.resolve() {
        Ok(_) => resolve(&variable).map_err(|cause| refuse(variable.to_string(), cause)),
        Err(_) => Err(Failure::usage(conduct.say("cli-egress-key-missing", &[]))),
    }
}

/// Puts the log's receipts of this sweep among the observations; says what is wrong with the rest.
pub fn read(
    conduct: &Conduct,
    path: &Path,
    key: &EgressKey,
    sweep: &str,
    log: &mut Log,
) -> Result<Vec<SweepNotice>, Failure> {
    let shown = path.display().to_string();
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_OCTETS as u64 + 1).read_to_end(&mut octets))
        .map_err(|cause| {
            let arguments = [("path", shown.clone().into()), ("cause", cause.to_string().into())];
            Failure::usage(conduct.say("cli-unreadable", &arguments))
        })?;
    if octets.len() > MOST_OCTETS {
        let most = MOST_OCTETS.to_string();
        let arguments = [("path", shown.into()), ("most", most.into())];
        return Err(Failure::usage(conduct.say("cli-witness-too-large", &arguments)));
    }
    let (findings, is_empty) = {
        let ledger = Ledger::of_log(key, sweep, log);
        (ledger.check(&String::from_utf8_lossy(&octets), Extent::Whole), ledger.is_empty())
    };
    let mut notices: Vec<SweepNotice> =
        witnessed::remarks(&findings).iter().map(|remark| remark.notice(&conduct.texts)).collect();
    if is_empty {
        let text = conduct.say("sweep-witness-no-probes", &[]);
        notices.push(SweepNotice { code: "witness-no-probes".to_owned(), text });
    }
    let count = witnessed::put(&findings, log);
    let arguments = [("count", count.to_string().into()), ("path", shown.into())];
    conduct.tell(&conduct.say("cli-witnessed", &arguments));
    for notice in &notices {
        conduct.tell(&notice.text);
    }
    Ok(notices)
}
