//! The Open Cybersecurity Schema Framework, for a security platform: JSON Lines, one event a line.
//!
//! Each device is a Device Inventory Info (class 5001, activity Collect), each finding a Compliance
//! Finding (class 2003). Only attributes that the schema's version below has are used, and only what
//! the result says; the rest of a finding stands under `unmapped` by our own names.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Format;
use super::view::{View, kind_word};
use crate::result::v1::{Confidence, Device, Finding, Severity, Status, SweepResult};
use crate::texts::Texts;

/// The schema's version that these events are written by.
const VERSION: &str = "1.3.0";

pub(super) struct Ocsf;

impl Format for Ocsf {
    fn name(&self) -> &'static str {
        "ocsf"
    }

    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn file_name(&self) -> &'static str {
        "ocsf.jsonl"
    }

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()> {
        let view = View::of(result, texts);
        let mut out = io::BufWriter::new(out);
        let events = result.devices.iter().map(|device| inventory(result, device));
        let findings = view.findings().into_iter();
        for event in events.chain(findings.map(|finding| compliance(&view, finding))) {
            serde_json::to_writer(&mut out, &event)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

/// Milliseconds since 1970, as `timestamp_t` wants them.
fn milliseconds(instant: &str) -> Value {
    instant.parse::<Timestamp>().map_or(Value::Null, |instant| json!(instant.as_millisecond()))
}

fn metadata(result: &SweepResult, uid: &str) -> Value {
    // "jiebei 0.1.0": the name and the version.
    let generator = &result.sweep.generator;
    let (name, version) = generator.split_once(' ').unwrap_or((generator, ""));
    let mut product = Map::new();
    product.insert("name".to_owned(), json!(name));
    product.insert("vendor_name".to_owned(), json!("Jiebei"));
    if !version.is_empty() {
        product.insert("version".to_owned(), json!(version));
    }
    json!({
        "version": VERSION,
        "product": product,
        "uid": uid,
        "correlation_uid": result.sweep.id,
        "log_name": "jiebei.result/1",
        "original_time": result.sweep.finished_at,
    })
}

/// An object without the members that are null or empty.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (key, filled(value)))
                .filter(|(_, value)| match value {
                    Value::Null => false,
                    Value::Array(values) => !values.is_empty(),
                    Value::Object(values) => !values.is_empty(),
                    _ => true,
                })
                .collect(),
        ),
        other => other,
    }
}

/// `device.type_id`.
fn device_type(device: &Device) -> (u8, &'static str) {
    let has = |role: &str| device.roles.iter().any(|other| other == role);
    match kind_word(device) {
        "network" if has("router") || has("gateway") => (12, "Router"),
        "network" if has("firewall") => (9, "Firewall"),
        "network" if has("switch") => (10, "Switch"),
        "server" => (1, "Server"),
        "terminal" => (2, "Desktop"),
        "printer" | "camera" | "phone" => (7, "IOT"),
        "unknown" => (0, "Unknown"),
        _ => (99, "Other"),
    }
}

fn inventory(result: &SweepResult, device: &Device) -> Value {
    let (type_id, type_name) = device_type(device);
    let interfaces: Vec<Value> = device
        .bindings
        .iter()
        .filter(|binding| binding.on_link)
        .map(|binding| {
            // Unknown: a frame does not say whether its sender is on a wire or behind an access point.
            filled(json!({ "type_id": 0, "ip": binding.ip, "mac": binding.mac }))
        })
        .collect();
    let os = device.os.as_ref().map(|os| json!({ "name": os, "type_id": 99, "type": "Other" }));
    filled(json!({
        "category_uid": 5,
        "category_name": "Discovery",
        "class_uid": 5001,
        "class_name": "Device Inventory Info",
        "activity_id": 2,
        "activity_name": "Collect",
        "type_uid": 500_102,
        "type_name": "Device Inventory Info: Collect",
        "severity_id": 1,
        "severity": "Informational",
        "time": milliseconds(&device.last_seen),
        "metadata": metadata(result, &format!("{}:{}", result.sweep.id, device.id)),
        "device": {
            "uid": device.id,
            "type_id": type_id,
            "type": type_name,
            "name": device.registered_as,
            "hostname": device.hostnames.first(),
            "ip": device.addresses.first(),
            "mac": device.macs.first(),
            "vendor_name": device.vendor,
            "network_interfaces": interfaces,
            "os": os,
            "first_seen_time": milliseconds(&device.first_seen),
            "last_seen_time": milliseconds(&device.last_seen),
        },
        "unmapped": {
            "unit": device.unit,
            "addresses": device.addresses,
            "claimed_addresses": device.claimed_addresses,
            "hostnames": device.hostnames,
            "macs": device.macs,
            "roles": device.roles,
            "services": device.services.iter()
                .map(|service| format!("{} {}", service.ip, service.port)).collect::<Vec<_>>(),
            "sources": device.sources,
        },
    }))
}

fn compliance(view: &View<'_>, finding: &Finding) -> Value {
    let result = view.result;
    let (severity_id, severity) = match finding.severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let (confidence_id, confidence) = match finding.confidence {
        Confidence::Hint => (1, "Low"),
        Confidence::Indicated => (2, "Medium"),
        Confidence::Corroborated | Confidence::Proved => (3, "High"),
    };
    let (status_id, status) = match finding.status {
        Status::Open => (1, "New"),
        Status::Acknowledged => (2, "In Progress"),
        Status::Waived => (3, "Suppressed"),
        Status::Resolved => (4, "Resolved"),
    };
    let (activity_id, activity, type_uid) = match finding.status {
        Status::Resolved => (3, "Close", 200_303),
        _ => (1, "Create", 200_301),
    };
    let standard = view
        .regulation_title()
        .unwrap_or_else(|| result.sweep.regulation.clone().unwrap_or_else(|| "-".to_owned()));
    let subject = &finding.subject;
    let key = [&subject.prefix, &subject.ip, &subject.mac].into_iter().flatten().next();
    let packets: Vec<u64> =
        finding.evidence.iter().flat_map(|evidence| evidence.packets.iter().copied()).collect();
    filled(json!({
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": type_uid,
        "type_name": format!("Compliance Finding: {activity}"),
        "severity_id": severity_id,
        "severity": severity,
        "confidence_id": confidence_id,
        "confidence": confidence,
        "status_id": status_id,
        "status": status,
        "time": milliseconds(&result.sweep.finished_at),
        "message": finding.title,
        "metadata": metadata(result, &format!("{}:{}", result.sweep.id, finding.id)),
        "finding_info": {
            "uid": finding.id,
            "title": finding.title,
            "types": [finding.rule],
            "first_seen_time": milliseconds(&finding.first_seen),
            "last_seen_time": milliseconds(&finding.last_seen),
        },
        "compliance": {
            "standards": [standard],
            "requirements": finding.articles.iter().map(|a| view.article(a)).collect::<Vec<_>>(),
            "control": finding.rule,
            "status_id": 3,
            "status": "Fail",
        },
        "remediation": { "desc": finding.remediation },
        "resources": [{ "name": key, "uid": key, "type": if subject.prefix.is_some() { "segment" } else { "device" } }],
        "unmapped": {
            "unit": finding.unit,
            "subject": subject,
            "detail": finding.detail,
            "status": finding.status.word(),
            "refuted_by": finding.refuted_by,
            "notice": finding.notice,
            "evidence": finding.evidence.iter().map(|evidence| evidence.summary.clone()).collect::<Vec<_>>(),
            "packets": packets,
        },
    }))
}
