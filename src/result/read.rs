//! Reading a result somebody hands us, and writing ours.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::names;
use super::v1::{SCHEMA, SweepResult};

/// The largest result that is read: a hundred thousand devices with their services are a tenth of it.
pub const MOST_BYTES: u64 = 1 << 30;

#[derive(Debug, Error)]
pub enum ReadError {
    #[error("{name}: {source}")]
    Io {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("{name} is larger than {most} bytes, the most that a result may have")]
    TooLarge { name: String, most: u64 },
    /// Not JSON, nested too deep, or a value of the wrong kind.
    #[error("{name}, line {line}, column {column}, at `{path}`: {what}")]
    Malformed { name: String, line: usize, column: usize, path: String, what: String },
    #[error("{name} says its schema is {found:?}; this program reads {expected:?}")]
    WrongSchema { name: String, found: String, expected: &'static str },
}

/// The `result.json` that a word on the command line means: a file, or the folder it lies in.
pub fn locate(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(names::RESULT) } else { path.to_owned() }
}

/// Reads a result from a file, or from the folder it lies in.
pub fn read(path: &Path) -> Result<SweepResult, ReadError> {
    let path = locate(path);
    let name = path.display().to_string();
    match File::open(&path) {
        Ok(file) => read_from(file, &name),
        Err(source) => Err(ReadError::Io { name, source }),
    }
}

/// Reads a result from anything; `name` is what an error calls it.
pub fn read_from(input: impl Read, name: &str) -> Result<SweepResult, ReadError> {
    let text = bounded(input, MOST_BYTES, name)?;
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    // serde_json refuses more than 128 levels by itself.
    let result: Result<SweepResult, _> = serde_path_to_error::deserialize(&mut deserializer);
    let result = match result {
        Ok(result) => {
            deserializer.end().map_err(|fault| malformed(name, ".".to_owned(), &fault))?;
            result
        }
        Err(fault) => {
            return Err(match schema_of(&text) {
                Some(found) if found != SCHEMA => wrong_schema(name, found),
                _ => malformed(name, fault.path().to_string(), fault.inner()),
            });
        }
    };
    if result.schema != SCHEMA {
        return Err(wrong_schema(name, result.schema));
    }
    Ok(result)
}

/// What the text calls its schema, if it is JSON enough to say.
fn schema_of(text: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    serde_json::from_slice::<Head>(text).ok().map(|head| head.schema)
}

fn wrong_schema(name: &str, found: String) -> ReadError {
    let found = found.chars().take(64).collect();
    ReadError::WrongSchema { name: name.to_owned(), found, expected: SCHEMA }
}

fn malformed(name: &str, path: String, fault: &serde_json::Error) -> ReadError {
    // serde_json ends its sentence with the position, which stands before it here.
    let what = fault.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    ReadError::Malformed {
        name: name.to_owned(),
        line: fault.line(),
        column: fault.column(),
        path: path.chars().take(200).collect(),
        what: what.chars().take(300).collect(),
    }
}

fn bounded(input: impl Read, most: u64, name: &str) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    input
        .take(most + 1)
        .read_to_end(&mut text)
        .map_err(|source| ReadError::Io { name: name.to_owned(), source })?;
    if text.len() as u64 > most {
        return Err(ReadError::TooLarge { name: name.to_owned(), most });
    }
    Ok(text)
}

/// Writes a result as it is published: indented JSON, a line feed at the end.
pub fn write_to(result: &SweepResult, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, result)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a result to a file, whole or not at all.
pub fn write(result: &SweepResult, path: &Path) -> io::Result<()> {
    super::folder::replace(path, None, &mut |out| write_to(result, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::v1::*;

    fn small() -> SweepResult {
        crate::result::fixture::small()
    }

    fn text() -> String {
        let mut text = Vec::new();
        write_to(&small(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_was_written_reads_back() {
        assert_eq!(read_from(text().as_bytes(), "r").unwrap(), small());
    }

    #[test]
    fn a_fault_names_its_place() {
        let broken = text().replace("\"severity\": \"high\"", "\"severity\": \"awful\"");
        let ReadError::Malformed { line, path, what, .. } =
            read_from(broken.as_bytes(), "r").unwrap_err()
        else {
            panic!("another error");
        };
        assert!(line > 10, "{line}");
        assert_eq!(path, "findings[0].severity");
        assert!(what.contains("awful"), "{what}");
    }

    #[test]
    fn another_schema_is_named_even_where_the_rest_differs() {
        let other = r#"{"schema":"jiebei.result/9","sweeps":[]}"#;
        let error = read_from(other.as_bytes(), "r").unwrap_err().to_string();
        assert!(error.contains("jiebei.result/9") && error.contains(SCHEMA), "{error}");
    }

    #[test]
    fn deep_cut_and_foreign_input_is_an_error() {
        let deep = "[".repeat(100_000);
        let nested = text().replace("\"detail\": {}", &format!("\"detail\": {{\"a\":{deep}"));
        for bad in [deep.as_str(), nested.as_str(), "", "\0\0", "[]", "{\"schema\":1}"] {
            assert!(read_from(bad.as_bytes(), "r").is_err());
        }
        let whole = text();
        for cut in (0..whole.len() - 2).step_by(97) {
            assert!(read_from(&whole.as_bytes()[..cut], "r").is_err(), "cut at {cut}");
        }
        assert!(read_from([whole.as_bytes(), b"{}"].concat().as_slice(), "r").is_err());
        assert!(matches!(
            bounded(io::repeat(b'x'), 10, "r"),
            Err(ReadError::TooLarge { most: 10, .. })
        ));
    }

    #[test]
    fn severities_and_confidences_rise() {
        assert!(Severity::Critical > Severity::Info && Confidence::Proved > Confidence::Hint);
    }
}
