//! `observations.jsonl.zst`: every observation of a sweep, one JSON object a line, in Zstandard.
//!
//! The first line is the [`Header`]; each further line an [`Observation`] in the order of first
//! sight, so that an observation's place in the log is its line less two. What cannot be read is an
//! error that names its line: an audit over a part of the observations would call absent what
//! merely stands further down.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observe::{Log, LogLimits, Observation};

pub const SCHEMA: &str = "jiebei.observations/1";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always `jiebei.observations/1`.
    pub schema: String,
    /// The sweep's id, as in the result.
    pub sweep: String,
    /// The program and version that wrote the file.
    pub generator: String,
    /// New facts that were not kept because the log was full.
    #[serde(default)]
    pub refused: u64,
}

impl Header {
    pub fn new(sweep: &str, generator: &str, log: &Log) -> Header {
        Header {
            schema: SCHEMA.to_owned(),
            sweep: sweep.to_owned(),
            generator: generator.to_owned(),
            refused: log.refused(),
        }
    }
}

/// How much of a file is read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest line in octets. The longest honest one lists the addresses of a /16 that were
    /// asked: under 4 MiB.
    pub line: usize,
    pub observations: usize,
    /// Octets after decompression.
    pub total: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { line: 8 << 20, observations: LogLimits::default().observations, total: 4 << 30 }
    }
}

#[derive(Debug, Error)]
pub enum ObservationsError {
    #[error("{name}: {source}")]
    Io {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{name} is no Zstandard file, or its compression is broken after line {line}: {source}"
    )]
    Compression {
        name: String,
        line: usize,
        #[source]
        source: io::Error,
    },
    #[error("{name}, line {line}, column {column}: {what}")]
    Line { name: String, line: usize, column: usize, what: String },
    #[error("{name}, line {line} ends early: the file was cut")]
    Cut { name: String, line: usize },
    #[error("{name} says its schema is {found:?}; this program reads {SCHEMA:?}")]
    WrongSchema { name: String, found: String },
    #[error("{name}, line {line}: {what} (at most {most})")]
    Bound { name: String, line: usize, what: &'static str, most: u64 },
}

/// Writes a log. Level 3: a /16 with sixty ports packs in seconds to a twentieth.
pub fn write(header: &Header, log: &Log, out: &mut dyn Write) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(out, 3)?;
    encoder.include_checksum(true)?;
    {
        let mut lines = BufWriter::with_capacity(1 << 16, &mut encoder);
        serde_json::to_writer(&mut lines, header)?;
        lines.write_all(b"\n")?;
        for (_, observation) in log.iter() {
            serde_json::to_writer(&mut lines, observation)?;
            lines.write_all(b"\n")?;
        }
        lines.flush()?;
    }
    encoder.finish()?.flush()
}

/// Reads a file that [`write`] wrote, from a path.
pub fn read(path: &Path) -> Result<(Header, Log), ObservationsError> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read_from(file, &name, Bounds::default()),
        Err(source) => Err(ObservationsError::Io { name, source }),
    }
}

/// Reads observations from anything; `name` is what an error calls it.
pub fn read_from(
    input: impl Read,
    name: &str,
    bounds: Bounds,
) -> Result<(Header, Log), ObservationsError> {
    let broken =
        |line, source| ObservationsError::Compression { name: name.to_owned(), line, source };
    let mut decoder = zstd::Decoder::new(input).map_err(|source| broken(0, source))?;
    // 32 MiB of history: level 3 needs 2, and a hostile header may ask for 2 GiB.
    decoder.window_log_max(25).map_err(|source| broken(0, source))?;
    let mut lines = BufReader::with_capacity(1 << 16, decoder);
    let mut buffer = Vec::new();
    let mut number = 0;
    let mut total = 0_u64;
    let mut next = |buffer: &mut Vec<u8>| -> Result<Option<usize>, ObservationsError> {
        buffer.clear();
        let mut bounded = (&mut lines).take(bounds.line as u64 + 1);
        let read = bounded.read_until(b'\n', buffer).map_err(|source| broken(number, source))?;
        if read == 0 {
            return Ok(None);
        }
        number += 1;
        total += read as u64;
        if read > bounds.line {
            return Err(bound(name, number, "the line is too long", bounds.line as u64));
        }
        if total > bounds.total {
            return Err(bound(name, number, "the file is too large unpacked", bounds.total));
        }
        if buffer.last() != Some(&b'\n') {
            return Err(ObservationsError::Cut { name: name.to_owned(), line: number });
        }
        Ok(Some(number))
    };

    if next(&mut buffer)?.is_none() {
        return Err(ObservationsError::Cut { name: name.to_owned(), line: 1 });
    }
    let header = header(name, &buffer)?;
    let mut observations: Vec<Observation> = Vec::new();
    while let Some(line) = next(&mut buffer)? {
        if observations.len() >= bounds.observations {
            return Err(bound(name, line, "too many observations", bounds.observations as u64));
        }
        observations
            .push(serde_json::from_slice(&buffer).map_err(|fault| line_fault(name, line, &fault))?);
    }
    Ok((header, Log::of(observations)))
}

fn header(name: &str, line: &[u8]) -> Result<Header, ObservationsError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_slice(line).map_err(|fault| line_fault(name, 1, &fault))?;
    if head.schema != SCHEMA {
        let found = head.schema.chars().take(64).collect();
        return Err(ObservationsError::WrongSchema { name: name.to_owned(), found });
    }
    serde_json::from_slice(line).map_err(|fault| line_fault(name, 1, &fault))
}

fn line_fault(name: &str, line: usize, fault: &serde_json::Error) -> ObservationsError {
    let what = fault.to_string();
    let what = what.split(" at line ").next().unwrap_or_default().chars().take(300).collect();
    ObservationsError::Line { name: name.to_owned(), line, column: fault.column(), what }
}

fn bound(name: &str, line: usize, what: &'static str, most: u64) -> ObservationsError {
    ObservationsError::Bound { name: name.to_owned(), line, what, most }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::net::Mac;
    use crate::observe::{Fact, FrameNumber, Source, VantageId};

    fn log(facts: u8) -> Log {
        let mut log = Log::default();
        for last in 1..=facts {
            log.observe(
                Timestamp::new(1_763_000_000, i32::from(last)).unwrap(),
                VantageId(0),
                Source::Arp,
                Fact::Binding { ip: [10, 0, 0, last].into(), mac: Mac([2, 0, 0, 0, 0, last]) },
                &[FrameNumber(u64::from(last))],
            );
        }
        log
    }

    fn packed(facts: u8) -> Vec<u8> {
        let log = log(facts);
        let mut out = Vec::new();
        write(&Header::new("s", "jiebei 0", &log), &log, &mut out).unwrap();
        out
    }

    fn lines(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 3).unwrap()
    }

    #[test]
    fn what_was_written_reads_back_in_its_order() {
        let (header, read) = read_from(packed(50).as_slice(), "o", Bounds::default()).unwrap();
        assert_eq!((header.sweep.as_str(), read.len()), ("s", 50));
        let expected = log(50);
        assert!(read.iter().map(|(_, o)| o).eq(expected.iter().map(|(_, o)| o)));
    }

    #[test]
    fn a_fault_names_its_line() {
        let head = r#"{"schema":"jiebei.observations/1","sweep":"s","generator":"g"}"#;
        let text = lines(&format!("{head}\n{{\"at\":1}}\n"));
        let error = read_from(text.as_slice(), "o", Bounds::default()).unwrap_err();
        assert!(error.to_string().starts_with("o, line 2, column "), "{error}");
        let text = lines(&format!("{head}\n{{\"at\":"));
        let error = read_from(text.as_slice(), "o", Bounds::default()).unwrap_err();
        assert!(matches!(error, ObservationsError::Cut { line: 2, .. }), "{error}");
        let text = lines("{\"schema\":\"other/1\"}\n");
        let error = read_from(text.as_slice(), "o", Bounds::default()).unwrap_err();
        assert!(matches!(error, ObservationsError::WrongSchema { .. }), "{error}");
    }

    #[test]
    fn a_cut_file_is_never_taken_for_a_whole_one() {
        let whole = packed(20);
        for cut in 0..whole.len() {
            assert!(read_from(&whole[..cut], "o", Bounds::default()).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn bombs_meet_the_bounds() {
        let bounds = Bounds { line: 1000, observations: 10, total: 10_000 };
        let head = r#"{"schema":"jiebei.observations/1","sweep":"s","generator":"g"}"#;
        let long = lines(&format!("{head}\n{}", "x".repeat(1_000_000)));
        let error = read_from(long.as_slice(), "o", bounds).unwrap_err();
        assert!(matches!(error, ObservationsError::Bound { line: 2, most: 1000, .. }), "{error}");
        let error = read_from(packed(20).as_slice(), "o", bounds).unwrap_err();
        assert!(matches!(error, ObservationsError::Bound { .. }), "{error}");
        assert!(read_from(&b"no zstd at all"[..], "o", bounds).is_err());
    }
}
