//! The kinds of servers that are read: one row each. A row names the kind, the folder that holds what each layer knows of it (in model,
//! model/facts, model/origin, collect, detect, detect/rules, diagnose/chart, app and view), and how people write it. Each layer makes
//! its table of these rows: nothing else outside of those folders names a kind.

/// Hands the rows to the macro of that name.
macro_rules! kinds {
    ($table:ident) => {
        $table! {
            Postgres postgres "PostgreSQL",
            Redis redis "Redis",
            Prometheus prometheus "Prometheus",
        }
    };
}

pub(crate) use kinds;
