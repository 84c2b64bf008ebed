//! File systems that a daemon serves (FUSE): whether requests wait for one, and which threads do. They sleep interruptibly, though only
//! their daemon can wake them: such a thread counts as one in state D.

use std::path::Path;

use crate::collect::root::{Reader, Roots};

/// One directory for each connection to a daemon.
const CONNECTIONS: &str = "fs/fuse/connections";
/// Where a thread sleeps until its request is answered.
const PLACE: &[u8] = b"request_wait_answer";
/// Connections that are looked at.
const MOST: usize = 64;
/// Threads that are looked at in one sweep, and in one sample.
pub(super) const LOOKS: usize = 512;

/// Requests that wait for a daemon, over all connections; 0 as well where that may not be read.
pub(super) fn waiting(reader: &mut Reader, roots: &Roots) -> u64 {
    let Ok(all) = std::fs::read_dir(roots.sys.join(CONNECTIONS)) else { return 0 };
    all.flatten().take(MOST).filter_map(|dir| reader.number(&dir.path().join("waiting"))).fold(0, u64::saturating_add)
}

/// A thread, by its directory, waits for one. Of so many that are asleep, `left` are looked at.
pub(super) fn waits(reader: &mut Reader, thread: &Path, left: &mut usize) -> bool {
    let Some(less) = left.checked_sub(1) else { return false };
    *left = less;
    reader.read(&thread.join("wchan")).is_ok_and(|place| place.starts_with(PLACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_and_only_the_wait_for_an_answer_counts() {
        let root = std::env::temp_dir().join(format!("perftop-daemons-{}", std::process::id()));
        for (name, waiting) in [("40", "2\n"), ("41", "0\n")] {
            let dir = root.join(CONNECTIONS).join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("waiting"), waiting).unwrap();
        }
        let roots = Roots { sys: root.clone(), ..Roots::default() };
        assert_eq!(waiting(&mut Reader::default(), &roots), 2);
        let at = |place: &str| {
            std::fs::write(root.join("wchan"), place).unwrap();
            waits(&mut Reader::default(), &root, &mut 1)
        };
        assert!(at("request_wait_answer"));
        // The daemon itself, idle.
        assert!(!at("fuse_dev_do_read.constprop.0") && !at("0"));
        std::fs::write(root.join("wchan"), PLACE).unwrap();
        assert!(!waits(&mut Reader::default(), &root, &mut 0), "enough were looked at");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
