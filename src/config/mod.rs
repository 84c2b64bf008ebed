//! Configuration: layers of TOML merged key by key, each value with its origin; unknown keys, wrong types and
//! impossible values are refused with file, line and the nearest valid name.
//! What never lives here: command-line parsing (`cli`), drawing.

mod capacity;
pub mod files;
mod keys;
mod kpi;
mod layers;
mod objective;
mod settings;
mod theme;
mod value;

pub use keys::{KEYS, Key, Kind, example};
pub use layers::{Problem, load};
pub use settings::Settings;
pub use theme::{Colour, Meaning, ThemeFile, builtin_themes};
pub use value::{Layer, Origin, Value, nearest, parse_duration};
