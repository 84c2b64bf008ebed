//! How figures stand in the JSON.

use serde::Serializer;

/// Six digits behind the point, so that the JSON does not depend on the last bit.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1e6).round() / 1e6 + 0.0 } else { 0.0 }
}

/// Serialises with [`rounded`].
///
/// # Errors
/// Those of the serializer.
pub fn round6<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

/// Serialises with [`rounded`]; not a number is null.
///
/// # Errors
/// Those of the serializer.
pub fn round6_option<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value.filter(|v| v.is_finite()) {
        Some(value) => serializer.serialize_some(&rounded(value)),
        None => serializer.serialize_none(),
    }
}
