//! How Redis and its kin are read: INFO each second, a PING now and then between, histograms, the slow log and settings more seldom.
//! Nothing that walks over keys or clients without bound; never KEYS, MONITOR, DEBUG; SCAN only when asked.

pub mod answers;
pub mod info;
mod keys;
mod place;
mod probe;
mod reads;
mod session;
mod slot;
mod status;
mod stream;
mod target;
mod trouble;
mod watcher;

pub use self::reads::KIND;
