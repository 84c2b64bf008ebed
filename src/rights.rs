//! Least rights: what perftop starts gets no rights that perftop does not have.

/// Programs started from here on gain no rights by setuid or file capabilities: perftop reads, whoever runs it.
pub fn give_up() {
    // A kernel that refuses has no such switch; nothing depends on it.
    _ = rustix::thread::set_no_new_privs(true);
}
