//! What a control group is called: a systemd unit, a container by its id or name, a pod. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::subject::SubjectType;

/// Hexadecimal digits that people write of a container's id.
const SHORT: usize = 12;

/// The container or else the unit that a path of control groups belongs to, by the innermost part that tells: `docker-ID.scope`,
/// `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`, `/docker/ID`, `…/podUID/ID`, `/lxc/NAME`, `NAME.service`.
#[must_use]
pub fn owner(path: &str) -> Option<(SubjectType, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let container = |at: usize| {
        let part = parts[at];
        let scope = part.strip_suffix(".scope").and_then(|p| p.rsplit_once('-')).map(|(_, id)| id);
        let before = at.checked_sub(1).map_or("", |at| parts[at]);
        if ["lxc", "lxc.payload"].contains(&before) {
            return Some(part.to_owned());
        }
        if let Some(name) = part.strip_prefix("lxc.payload.") {
            return Some(name.to_owned());
        }
        let id = scope.unwrap_or(part);
        let hex = id.len() >= 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| id[..SHORT].to_owned())
    };
    if let Some(id) = (0..parts.len()).rev().find_map(container) {
        return Some((SubjectType::Container, id));
    }
    let unit = parts.iter().rev().find(|part| part.ends_with(".service") || part.ends_with(".scope"));
    unit.map(|unit| (SubjectType::Unit, (*unit).to_owned()))
}

/// The uid of the pod that a path of control groups belongs to: `…/podUID/…`, `…-podUID_WITH_UNDERSCORES.slice`.
#[must_use]
pub fn pod(path: &str) -> Option<String> {
    path.split('/').find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let uid = part.strip_prefix("pod").or_else(|| part.rsplit_once("-pod").map(|(_, uid)| uid))?.replace('_', "-");
        let told = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        told.then_some(uid)
    })
}

/// Names that runtimes gave to containers, by the digits of [`owner`], and to pods (`namespace/name`), by [`pod`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names(pub BTreeMap<String, Foreign>);

impl Names {
    /// The key of a container's id, however long it is written.
    #[must_use]
    pub fn key(id: &str) -> String {
        id.chars().take(SHORT).collect()
    }

    /// The container or pod behind a path, as people call it.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<&str> {
        let container = || owner(path).filter(|(kind, _)| *kind == SubjectType::Container).map(|(_, id)| id);
        let name = pod(path).and_then(|uid| self.0.get(&uid)).or_else(|| container().and_then(|id| self.0.get(&id)));
        name.map(Foreign::shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_units_are_told_by_their_paths() {
        let id = "4f2a".repeat(16);
        let short = &id[..SHORT];
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{id}.scope"),
            format!("/kubepods/besteffort/pod9f1c/{id}/init.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(owner(&path), Some((SubjectType::Container, short.to_owned())), "{path}");
        }
        assert_eq!(owner("/lxc/web1"), Some((SubjectType::Container, "web1".into())));
        assert_eq!(owner("/lxc.payload.web1/init.scope"), Some((SubjectType::Container, "web1".into())));
        assert_eq!(owner("/system.slice/nginx.service"), Some((SubjectType::Unit, "nginx.service".into())));
        assert_eq!(owner("/user.slice/user-0.slice/session-3.scope"), Some((SubjectType::Unit, "session-3.scope".into())));
        assert_eq!((owner("/"), owner("/batch")), (None, None));
    }

    #[test]
    fn pods_and_containers_have_names() {
        let uid = "9f1c2b3a-0000-4444-8888-0123456789ab";
        let id = "4f2a".repeat(16);
        let slice = format!("/kubepods.slice/kubepods-burstable-pod{}.slice/cri-containerd-{id}.scope", uid.replace('-', "_"));
        let names = Names(
            [(uid.to_owned(), Foreign::from("shop/web-5d4f")), (Names::key(&id), Foreign::from("web"))].into_iter().collect(),
        );
        assert_eq!(names.of(&slice), Some("shop/web-5d4f"), "the pod before its container");
        assert_eq!(names.of(&format!("/kubepods/besteffort/pod{uid}/{id}")), Some("shop/web-5d4f"));
        assert_eq!(names.of(&format!("/docker/{id}")), Some("web"));
        assert_eq!((names.of("/system.slice/podman.service"), pod("/a/pod-9")), (None, None));
    }
}
