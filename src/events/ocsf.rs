//! An event as a Detection Finding (class 2004) of the Open Cybersecurity Schema Framework, version 1.3, with the profile
//! `security_control`.

use serde_json::{Value, json};

use super::{Class, Event, Outcome};

/// The finding. What OCSF has no place for stands under `unmapped`.
pub fn finding(event: &Event) -> Value {
    let (action, action_id, disposition, disposition_id) = match event.outcome {
        Outcome::Refused | Outcome::Unanswered => ("Denied", 2, "Blocked", 2),
        Outcome::Observed | Outcome::Explained | Outcome::Shadow | Outcome::Shown => ("Allowed", 1, "Detected", 15),
    };
    let (severity, severity_id) = match (event.class, event.outcome) {
        (Class::Honey, _) | (_, Outcome::Shown) => ("High", 4),
        (Class::Firewall | Class::Budget, Outcome::Refused | Outcome::Unanswered) => ("Medium", 3),
        (Class::Firewall | Class::Budget, Outcome::Observed | Outcome::Explained | Outcome::Shadow) => ("Low", 2),
    };
    let title = match event.class {
        Class::Firewall => "SQL injection",
        Class::Honey => "Honey",
        Class::Budget => "Budget of protected cells",
    };
    let (user, host) = event.account.rsplit_once('@').unwrap_or((&event.account, ""));
    let client = event.client.rsplit_once(':').map(|(ip, port)| {
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        json!({ "ip": ip, "port": port.parse().unwrap_or(0) })
    });
    json!({
        "activity_id": 1, "activity_name": "Create",
        "category_uid": 2, "category_name": "Findings",
        "class_uid": 2004, "class_name": "Detection Finding",
        "type_uid": 200_401, "type_name": "Detection Finding: Create",
        "severity_id": severity_id, "severity": severity,
        "status_id": 1, "status": "New",
        "action_id": action_id, "action": action,
        "disposition_id": disposition_id, "disposition": disposition,
        "is_alert": true,
        "time_dt": event.at,
        "time": milliseconds(&event.at),
        "message": event.message(),
        "metadata": {
            "uid": uid(event),
            "version": "1.3.0",
            "profiles": ["security_control"],
            "product": { "name": "Candado", "vendor_name": "Candado", "version": env!("CARGO_PKG_VERSION") },
        },
        "finding_info": {
            "uid": event.id,
            "title": title,
            "types": event.rules,
            "analytic": { "uid": event.rule(), "name": event.rule(), "type_id": 1, "type": "Rule" },
        },
        "evidences": [{
            "actor": { "user": { "name": user, "domain": host } },
            "src_endpoint": client,
            "database": { "name": event.database, "type_id": 1, "type": "Relational" },
            "data": { "statement": event.text, "digest": event.digest },
        }],
        "unmapped": {
            "score": event.score, "mode": event.mode, "suppressed": event.suppressed, "columns": event.columns,
        },
    })
}

/// A statement may have several events: of other rules, of several results, of several limits.
fn uid(event: &Event) -> String {
    let limit = event.limit.as_deref().map(|limit| format!(":{limit}")).unwrap_or_default();
    format!("{}:{}:{}{limit}", event.id, event.rule(), event.outcome.name())
}

/// Milliseconds since 1970, as `time` has them.
fn milliseconds(at: &str) -> u64 {
    super::time::parse(at).map_or(0, |since_epoch| u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
