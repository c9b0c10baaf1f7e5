//! A recorded sweep once more, without a network: every frame in its order through the same intake.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::conductor::{End, Swept, WhyNot, inventoried};
use super::intake::Intake;
use super::record::{Record, RecordError};
use super::spool::Spool;
use super::tape::Tape;
use crate::observe::Log;
use crate::scan::Recogniser;

/// Plays a record. Ids and times are the record's.
pub fn replay(record: &Record) -> Result<Swept, RecordError> {
    let name = || record.path().display().to_string();
    let spool = Spool::temporary().map_err(|cause| RecordError::Io { file: name(), cause })?;
    let tape = Tape::new(spool, record.head.interest.iter().copied())
        .with_canaries(record.head.canaries.iter().copied())
        .replaying(record.tail.of_conversations.iter().copied());
    let tape = Arc::new(Mutex::new(tape));
    let own = record.head.vantages.iter().filter_map(|vantage| vantage.mac).collect();
    let mut intake = Intake::new(Log::default(), Arc::clone(&tape), own);
    let malformed = |cause: String| RecordError::Malformed { file: name(), part: "tail", cause };
    let read = |record: &crate::scan::Record| {
        Recogniser::of_record(record).map_err(|fault| malformed(fault.to_string()))
    };
    // Before the first pass nothing was asked, so nothing is an answer.
    let mut recogniser = None;
    let mut marks = record.tail.marks.iter().peekable();
    let mut frames = 0u64;
    let mut fault = None;
    record.play(|frame| {
        while let Some(mark) = marks.next_if(|mark| mark.frames <= frames) {
            // Who is steered through is told by the place in a list that only grows: the last one
            // serves for all.
            let mut known = mark.recogniser.clone();
            for vantage in &mut known.vantages {
                let last = record.tail.recogniser.vantages.iter().find(|v| v.id == vantage.id);
                if let Some(last) = last {
                    vantage.steered.clone_from(&last.steered);
                    vantage.volley.clone_from(&last.volley);
                }
            }
            match read(&known) {
                Ok(known) => recogniser = Some(known),
                Err(bad) => fault = Some(bad),
            }
        }
        frames += 1;
        if frame.outbound {
            intake.sent(frame.vantage, frame.at, frame.bytes, frame.length);
        } else {
            let recognised = recogniser
                .as_ref()
                .and_then(|recogniser| recogniser.recognise(frame.vantage, frame.bytes));
            intake.heard(
                frame.vantage,
                frame.at,
                frame.link_type,
                frame.bytes,
                frame.length,
                recognised,
            );
        }
        Ok::<(), io::Error>(())
    })?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    for noted in &record.tail.observations {
        intake.note(noted.at, noted.vantage, noted.source, noted.fact.clone(), &noted.frames);
    }
    let why_not: BTreeMap<_, _> = record
        .tail
        .why_not
        .iter()
        .filter_map(|(prefix, vantage, key)| {
            let why = WhyNot::ALL.into_iter().find(|why| why.key() == key)?;
            Some(((*prefix, *vantage), why))
        })
        .collect();
    let head = record.tail.sweep.clone();
    let end = if head.complete { End::Complete } else { End::Interrupted };
    Ok(Swept {
        vantages: record
            .head
            .vantages
            .iter()
            .map(|vantage| inventoried(vantage.mac, &vantage.interface, &vantage.addresses))
            .collect(),
        head,
        log: intake.log,
        tape,
        why_not,
        end,
    })
}
