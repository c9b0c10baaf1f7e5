//! The JSON Schema of the result, as it is checked in at `docs/result.schema.json`.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::v1::{self, SweepResult};

/// The published schema (JSON Schema, draft 2020-12).
///
/// Generated from [`v1`]; what the types cannot say (the fixed word in `schema`, which texts are
/// instants) is added here.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<SweepResult>().to_value();
    annotate(&mut schema);
    schema
}

/// Properties that hold an instant, wherever they stand.
const INSTANTS: &[&str] =
    &["started_at", "finished_at", "first_seen", "last_seen", "not_before", "not_after"];

fn annotate(schema: &mut Value) {
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".into(), json!("https://jiebei.example/schema/result-1.json"));
        root.insert("title".into(), json!(v1::SCHEMA));
    }
    if let Some(word) = schema.pointer_mut("/properties/schema").and_then(Value::as_object_mut) {
        word.insert("const".into(), json!(v1::SCHEMA));
    }
    if let Some(definitions) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        for (name, definition) in definitions.iter_mut() {
            // A certificate's own end is quoted as the certificate has it.
            if name == "Tls" {
                continue;
            }
            let Some(properties) = definition.get_mut("properties").and_then(Value::as_object_mut)
            else {
                continue;
            };
            for (key, property) in properties {
                if INSTANTS.contains(&key.as_str())
                    && let Some(property) = property.as_object_mut()
                {
                    property.insert("format".into(), json!("date-time"));
                }
            }
        }
        pattern(definitions, "FileDigest", "sha256", "^[0-9a-f]{64}$");
        pattern(definitions, "RegistrySource", "sha256", "^[0-9a-f]{64}$");
        pattern(definitions, "Service", "port", "^(tcp|udp)/[0-9]{1,5}$");
    }
}

fn pattern(definitions: &mut serde_json::Map<String, Value>, of: &str, key: &str, pattern: &str) {
    let property = definitions
        .get_mut(of)
        .and_then(|definition| definition.pointer_mut(&format!("/properties/{key}")))
        .and_then(Value::as_object_mut);
    if let Some(property) = property {
        property.insert("pattern".into(), json!(pattern));
    }
}
