//! The object to blame, and the key of a finding. CONTRACT.md, "Names". Pure.

use serde::{Deserialize, Serialize};

/// The closed list of subject types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contract's words")]
pub enum SubjectType {
    Process,
    Cgroup,
    Unit,
    Container,
    Device,
    Mount,
    Interface,
    Peer,
    Port,
    Host,
    Backend,
    SessionRole,
    Application,
    Database,
    Table,
    Index,
    Sequence,
    Query,
    Slot,
    Replica,
    PreparedTransaction,
    Setting,
    Client,
    Command,
    Key,
    Instance,
    Slo,
    Alert,
    Pool,
    Service,
    Error,
}

impl SubjectType {
    /// The word of the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        use SubjectType as T;
        match self {
            T::Process => "process",
            T::Cgroup => "cgroup",
            T::Unit => "unit",
            T::Container => "container",
            T::Device => "device",
            T::Mount => "mount",
            T::Interface => "interface",
            T::Peer => "peer",
            T::Port => "port",
            T::Host => "host",
            T::Backend => "backend",
            T::SessionRole => "session_role",
            T::Application => "application",
            T::Database => "database",
            T::Table => "table",
            T::Index => "index",
            T::Sequence => "sequence",
            T::Query => "query",
            T::Slot => "slot",
            T::Replica => "replica",
            T::PreparedTransaction => "prepared_transaction",
            T::Setting => "setting",
            T::Client => "client",
            T::Command => "command",
            T::Key => "key",
            T::Instance => "instance",
            T::Slo => "slo",
            T::Alert => "alert",
            T::Pool => "pool",
            T::Service => "service",
            T::Error => "error",
        }
    }
}

/// Who or what a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SubjectType,
    /// Its key in the form of CONTRACT.md, in shown form.
    pub key: String,
    /// How people call it.
    pub label: String,
    /// Other objects that belong to it, as `type:key`.
    #[serde(default)]
    pub also: Vec<String>,
}

impl Subject {
    /// A subject without relatives.
    pub fn new(kind: SubjectType, key: impl Into<String>, label: impl Into<String>) -> Self {
        Self { kind, key: key.into(), label: label.into(), also: Vec::new() }
    }

    /// This host itself.
    #[must_use]
    pub fn host() -> Self {
        Self::new(SubjectType::Host, "self", "this host")
    }

    /// `type:key`.
    #[must_use]
    pub fn typed_key(&self) -> String {
        format!("{}:{}", self.kind.word(), self.key)
    }
}

/// The key of a finding: `id|source|type:key`, each part percent-encoded where it must be.
#[must_use]
pub fn finding_key(id: &str, source: &str, subject: &Subject) -> String {
    format!("{}|{}|{}", encode(id), encode(source), encode(&subject.typed_key()))
}

/// Splits a finding key into id, source, subject type and subject key, decoded.
#[must_use]
pub fn split_finding_key(key: &str) -> Option<(String, String, String, String)> {
    let mut parts = key.splitn(3, '|');
    let (id, source, subject) = (parts.next()?, parts.next()?, parts.next()?);
    let subject = decode(subject)?;
    let (kind, name) = subject.split_once(':')?;
    Some((decode(id)?, decode(source)?, kind.to_owned(), name.to_owned()))
}

fn encode(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for c in part.chars() {
        if c == '%' || c == '|' || c.is_control() {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn decode(part: &str) -> Option<String> {
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hex = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_reads_like_the_contract() {
        let subject = Subject::new(SubjectType::Device, "vda", "vda");
        assert_eq!(finding_key("host.io.saturated", "host", &subject), "host.io.saturated|host|device:vda");
    }

    proptest! {
        #[test]
        fn keys_round_trip(key in "\\PC*[|%:\\n]*\\PC*", source in "[a-z|%:]*") {
            let subject = Subject::new(SubjectType::Mount, key.clone(), "");
            let text = finding_key("host.disk.full", &source, &subject);
            let (id, src, kind, name) = split_finding_key(&text).unwrap();
            prop_assert_eq!((id.as_str(), src, kind.as_str(), name), ("host.disk.full", source, "mount", key));
        }
    }
}
