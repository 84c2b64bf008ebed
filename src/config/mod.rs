//! Configuration: layers of TOML merged key by key, each value with its origin; unknown keys, wrong types and
//! impossible values are refused with file, line and the nearest valid name.
//! What never lives here: command-line parsing (`cli`), drawing.

mod keys;
mod layers;
mod settings;
mod theme;

pub use keys::{KEYS, Key, Kind, example};
pub use layers::{Problem, load, nearest, parse_duration};
pub use settings::{Layer, Origin, Settings, Value};
pub use theme::{Colour, Meaning, ThemeFile, builtin_themes};
