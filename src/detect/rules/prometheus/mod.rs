//! Rules of a Prometheus: objectives, alerts, answers that are not whole. Each is given one server.

mod alert;
mod blind;
mod burning;
mod defect;
mod host;
mod partial;

use crate::detect::rule::Rule;

/// All of them, in the order of the catalogue.
pub const RULES: &[&Rule] = &[&burning::RULE, &blind::RULE, &alert::RULE, &partial::RULE, &defect::RULE, &host::RULE];
