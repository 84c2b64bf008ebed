//! What runtimes call their containers and pods: directories and files of Docker, Podman and the kubelet. Read on a deadline
//! thread, for they lie on disks that may hang. What never lives here: which group belongs to which (`model::named`).

use std::path::Path;

use crate::collect::root::Reader;
use crate::model::foreign::Foreign;
use crate::model::named::Names;

/// The kubelet: one directory `NAMESPACE_POD_UID` for each pod that runs here.
const PODS: &str = "var/log/pods";
/// Docker: one directory for each container, with its name in `config.v2.json`; root only.
const DOCKER: &str = "var/lib/docker/containers";
/// Podman, as root: all of them in one file.
const PODMAN: &str = "var/lib/containers/storage/overlay-containers/containers.json";
/// More names than this are not kept.
const MOST: usize = 512;

/// All names that can be read below `root`, the root of the file system that the host sees.
#[must_use]
pub fn read(root: &Path) -> Names {
    let mut names = Names::default();
    pods(&root.join(PODS), &mut names);
    docker(&root.join(DOCKER), &mut names);
    let mut reader = Reader::default();
    if let Ok(text) = reader.read(&root.join(PODMAN)) {
        podman(text, &mut names);
    }
    names
}

fn pods(dir: &Path, names: &mut Names) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().take(MOST) {
        let name = entry.file_name();
        // Names of namespaces and pods hold no underscore (RFC 1123).
        let mut parts = name.to_str().unwrap_or_default().splitn(3, '_');
        if let (Some(space), Some(pod), Some(uid)) = (parts.next(), parts.next(), parts.next()) {
            names.0.insert(uid.to_owned(), Foreign::from(format!("{space}/{pod}").as_str()));
        }
    }
}

fn docker(dir: &Path, names: &mut Names) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut reader = Reader::default();
    for entry in entries.flatten().take(MOST) {
        let Ok(text) = reader.read(&entry.path().join("config.v2.json")) else { continue };
        let name = serde_json::from_slice::<serde_json::Value>(text).ok();
        if let Some(name) = name.as_ref().and_then(|v| v.get("Name")?.as_str()) {
            let id = entry.file_name();
            insert(&id.to_string_lossy(), name.trim_start_matches('/'), names);
        }
    }
}

fn podman(text: &[u8], names: &mut Names) {
    let Ok(all) = serde_json::from_slice::<Vec<serde_json::Value>>(text) else { return };
    for one in all.iter().take(MOST) {
        let name = one.get("names").and_then(|n| n.get(0)?.as_str());
        if let (Some(id), Some(name)) = (one.get("id").and_then(|i| i.as_str()), name) {
            insert(id, name, names);
        }
    }
}

fn insert(id: &str, name: &str, names: &mut Names) {
    if !name.is_empty() {
        names.0.insert(Names::key(id), Foreign::from(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::tempdir::Dir;

    #[test]
    fn the_names_of_three_runtimes() {
        let dir = Dir::new();
        let id = "4f2a".repeat(16);
        let file = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file("var/log/pods/shop_web-5d4f_9f1c2b3a-0000-4444-8888-0123456789ab/web/0.log", "");
        file(&format!("var/lib/docker/containers/{id}/config.v2.json"), r#"{"ID":"4f2a","Name":"/web","Config":{}}"#);
        file("var/lib/docker/containers/broken/config.v2.json", "{");
        file(PODMAN, r#"[{"id":"beef00112233445566","names":["db"]},{"id":7},{}]"#);
        let names = read(dir.path());
        let name = |key: &str| names.0.get(key).map(Foreign::shown);
        assert_eq!(name("9f1c2b3a-0000-4444-8888-0123456789ab"), Some("shop/web-5d4f"));
        assert_eq!((name("4f2a4f2a4f2a"), name("beef00112233")), (Some("web"), Some("db")));
        assert_eq!(names.0.len(), 3);
    }
}
