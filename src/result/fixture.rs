//! A small result for the tests of this room.

use super::v1::*;

pub fn small() -> SweepResult {
    SweepResult {
        schema: SCHEMA.to_owned(),
        sweep: Sweep {
            id: "019a0000-0000-7000-8000-000000000001".to_owned(),
            profile: "routine".to_owned(),
            started_at: "2026-11-22T01:00:00Z".to_owned(),
            finished_at: "2026-11-22T01:05:00Z".to_owned(),
            complete: true,
            authorisation: Authorisation {
                scope: vec!["10.0.0.0/8".to_owned()],
                risk: 2,
                ..Authorisation::default()
            },
            registry: None,
            unit: None,
            unit_given: false,
            vantages: Vec::new(),
            packets_sent: 1,
            packets_received: 2,
            packets_dropped: 0,
            passes: Vec::new(),
            notices: Vec::new(),
            generator: "jiebei".to_owned(),
            language: "en".to_owned(),
            regulation: None,
            rate: None,
            egress: None,
            files: Vec::new(),
        },
        coverage: Vec::new(),
        devices: Vec::new(),
        segments: Vec::new(),
        egresses: Vec::new(),
        next_hops: Vec::new(),
        findings: vec![Finding {
            id: "f-1".to_owned(),
            rule: "rogue-dhcp-server".to_owned(),
            severity: Severity::High,
            confidence: Confidence::Proved,
            refuted_by: "…".to_owned(),
            unit: None,
            articles: vec!["20".to_owned()],
            title: "…".to_owned(),
            remediation: "…".to_owned(),
            notice: None,
            subject: Subject { ip: Some("10.0.0.66".to_owned()), ..Subject::default() },
            detail: serde_json::Map::new(),
            evidence: Vec::new(),
            first_seen: "2026-11-22T01:00:01Z".to_owned(),
            last_seen: "2026-11-22T01:00:01Z".to_owned(),
            status: Status::Open,
            waiver: None,
        }],
    }
}
