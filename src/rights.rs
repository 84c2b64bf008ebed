//! Least rights: what perftop starts gains none that it has not itself.

/// From now on no program that is started gains rights by its file: perftop reads, whoever types it.
pub fn give_up() {
    // A kernel that refuses has no such switch; nothing depends on it.
    _ = rustix::thread::set_no_new_privs(true);
}
