//! Readers of the host. One file per probe: where it is read, and its parser, pure on bytes.

mod answers;
mod blocked;
pub mod cgroup;
pub mod changed;
pub mod cpu;
mod daemons;
pub mod disk;
mod file_locks;
pub mod filesystem;
pub mod identity;
pub mod inotify;
pub mod kmsg;
pub mod limits;
mod links;
pub mod memory;
pub mod names;
mod namespaces;
mod netlink;
pub mod network;
pub mod peers;
pub mod ports;
pub mod process;
pub mod process_detail;
pub mod psi;
pub mod qdisc;
mod resolving;
pub mod serving;
pub mod sockdiag;
pub mod sockets;
mod stamps;
pub mod stat;
pub mod sweep;
pub mod tables;
#[cfg(test)]
pub(crate) mod tempdir;
pub mod unixdiag;
