//! All keys of the configuration, one row each; the example file, the checks and the documentation come from here.

use std::fmt::Write as _;

use crate::detect::rules::RULES;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// true or false.
    Bool,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A duration such as "1s" or "250ms", at least and at most so many milliseconds.
    Duration(u64, u64),
    /// A number in a range.
    Number(f64, f64),
    /// One text, or a list of texts.
    Words,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Section, or empty.
    pub section: &'static str,
    /// Name within the section.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Default, as it stands in TOML.
    pub default: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// A section of things by their names.
pub(super) struct Named {
    /// Its name.
    pub section: &'static str,
    /// What one of it holds.
    pub keys: &'static [(&'static str, Kind)],
    /// The key that each must have; empty: none.
    pub must: &'static str,
}

const fn key(section: &'static str, name: &'static str, kind: Kind, default: &'static str, what: &'static str) -> Key {
    Key { section, name, kind, default, what }
}

/// Every key but the thresholds of the rules, which the rules declare themselves.
pub const KEYS: &[Key] = &[
    key(
        "",
        "theme",
        Kind::Text,
        "\"dark\"",
        "dark, light, contrast, colorblind, terminal (its own 16 colours), or the path of a theme file",
    ),
    key("", "color", Kind::Choice(&["auto", "always", "never"]), "\"auto\"", "auto follows NO_COLOR, TERM and COLORTERM"),
    key("", "ascii", Kind::Bool, "false", "draw with ASCII only"),
    key(
        "",
        "mouse",
        Kind::Bool,
        "true",
        "use the mouse: click selects, a second click opens, the wheel scrolls; false leaves it to the terminal",
    ),
    key("", "every", Kind::Duration(250, 60_000), "\"1s\"", "time between two samples on the screen"),
    key("", "discover", Kind::Bool, "true", "look for servers that run here"),
    key(
        "",
        "impersonate",
        Kind::Bool,
        "true",
        "as root, switch to the owner of a server's socket while connecting, where peer authentication needs it",
    ),
    key(
        "",
        "objective_files",
        Kind::Words,
        "[]",
        "files of sloth, pyrra or OpenSLO whose objectives a Prometheus is to count; a folder stands for its .yml files",
    ),
    key("", "dashboards", Kind::Words, "[]", "dashboards of Grafana (JSON) for screen 8; a folder stands for its .json files"),
    key(
        "",
        "rule_files",
        Kind::Words,
        "[]",
        "rule files of Prometheus whose alerts are evaluated here; a folder stands for its .yml files",
    ),
    key("", "procfs_root", Kind::Text, "\"/proc\"", "where /proc is, for a host seen from a container"),
    key("", "sysfs_root", Kind::Text, "\"/sys\"", "where /sys is"),
    key(
        "sessions",
        "keep",
        Kind::Bool,
        "true",
        "keep what the screen sees for a day, 20 MB at most, and a journal of what was found and what helped; in ~/.local/state/perftop",
    ),
    key("record", "every", Kind::Duration(250, 3_600_000), "\"5s\"", "time between two samples of a recording"),
    key("record", "keep", Kind::Duration(60_000, 31_536_000_000), "\"7d\"", "samples older than this are dropped from the file"),
    key(
        "targets",
        "cpu_warning",
        Kind::Number(0.0, 100.0),
        "70.0",
        "percent at which the CPU gauge turns to warning; colours raise no finding",
    ),
    key("targets", "cpu_critical", Kind::Number(0.0, 100.0), "90.0", "percent at which it turns to critical"),
    key("targets", "memory_warning", Kind::Number(0.0, 100.0), "80.0", "the same for memory"),
    key("targets", "memory_critical", Kind::Number(0.0, 100.0), "95.0", "the same for memory"),
    key("targets", "disk_warning", Kind::Number(0.0, 100.0), "80.0", "the same for space on file systems"),
    key("targets", "disk_critical", Kind::Number(0.0, 100.0), "95.0", "the same for space on file systems"),
    key(
        "kpis",
        "profile",
        Kind::Choice(&["runbook", "playground", "plan", "assistant", "engineer", "none"]),
        "\"runbook\"",
        "targets, warnings and critical figures of API latency, errors, throughput, utilisation: a runbook's, a playground's SLA, a plan's SLIs, an assistant's thresholds, an engineer's load test; they colour and raise no finding",
    ),
    key(
        "kpis",
        "sensitivity",
        Kind::Number(0.1, 10.0),
        "1.0",
        "how far from usual is unusual (!) and far from usual (!!): 2 and 3 spreads of the figure times this",
    ),
    key("kpis", "business_hours", Kind::Text, "\"09:00-18:00\"", "hours in which those distances are 10 % and 5 % shorter"),
    key("kpis", "quiet_hours", Kind::Text, "\"23:00-06:00\"", "hours in which they are 20 % and 15 % longer"),
    key("kpis", "zone", Kind::Text, "\"+00:00\"", "the zone of those hours: hours and minutes east of Greenwich"),
    key(
        "capacity",
        "warning",
        Kind::Duration(60_000, 400 * 86_400_000),
        "\"1d\"",
        "what runs out within this, by the late end of its interval, is a warning: exit code 1 of check --capacity",
    ),
    key("capacity", "critical", Kind::Duration(60_000, 400 * 86_400_000), "\"1h\"", "the same, critical: exit code 2"),
    key(
        "capacity",
        "ahead",
        Kind::Duration(3_600_000, 3 * 365 * 86_400_000),
        "\"90d\"",
        "how far ahead needs are looked at, as far as the history allows",
    ),
];

/// The example file: every key with its default, commented by what it does.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# perftop: every key with its default. `perftop config print` shows what is in force and where it comes from.\n\
         # Read in this order, later ones win: /etc/perftop/config.toml, ~/.config/perftop/config.toml, the file of\n\
         # --config, options of the command line.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            _ = write!(out, "\n[{section}]\n");
        }
        let choice = match key.kind {
            Kind::Choice(words) => format!(" ({})", words.join(", ")),
            _ => String::new(),
        };
        _ = write!(out, "# {}{choice}\n{} = {}\n", key.what, key.name, key.default);
    }
    out.push_str(
        "\n# Key bindings: `perftop config keys` lists the actions and their keys.\n\
         # [keys]\n# copy_fix = [\"c\", \"F5\"]\n",
    );
    out.push_str(
        "\n# PostgreSQL servers to watch, each under its own name. Those that run here are found without it. \
         A password belongs in\n# ~/.pgpass, PGPASSWORD or a file of its own, never in the URL.\n\
         # [postgres.main]\n# url = \"postgres://perftop@10.0.2.5:5432/shop\"\n# password_file = \"/etc/perftop/main.password\"\n",
    );
    out.push_str(
        "\n# Redis and Valkey servers likewise: redis://USER@HOST:PORT, rediss:// for TLS (?tls_ca=FILE&tls_cert=FILE&tls_key=FILE),\n\
         # unix:///PATH. A password belongs in REDISCLI_AUTH or a file of its own.\n\
         # [redis.cache]\n# url = \"redis://perftop@10.0.3.7:6379\"\n# password_file = \"/etc/perftop/cache.password\"\n",
    );
    out.push_str(
        "\n# Prometheus, Thanos, Mimir and VictoriaMetrics likewise: http://HOST:PORT or https://HOST/PREFIX, also through Grafana\n\
         # (https://HOST/api/datasources/proxy/uid/UID). Besides: user with password_file, token_file (a bearer token), tenant\n\
         # (X-Scope-OrgID), header_file (`Name: value`, one a line), tls_ca, tls_cert, tls_key, tls_verify (full, ca, none).\n\
         # [prometheus.main]\n# url = \"https://metrics.example/prometheus\"\n# token_file = \"/etc/perftop/main.token\"\n",
    );
    out.push_str(
        "\n# Objectives that a Prometheus counts: counters of what failed and of all, or a histogram of seconds with a limit,\n\
         # or queries with {{.window}} where the window stands. The period is 30d unless it is said.\n\
         # [objectives.checkout]\n# target = 99.9\n# period = \"28d\"\n\
         # errors = 'http_requests_total{job=\"checkout\",code=~\"5..\"}'\n# total = 'http_requests_total{job=\"checkout\"}'\n\
         # [objectives.fast]\n# target = 95\n# latency = 'http_request_duration_seconds{job=\"checkout\"}'\n# within = \"300ms\"\n\
         # prometheus = \"main\"\n\
         # [objectives.own]\n# target = 99\n# error_query = 'sum(rate(failed_total[{{.window}}]))'\n# total_query = 'sum(rate(all_total[{{.window}}]))'\n",
    );
    out.push_str(
        "\n# What else may run out: queries of what is left (and of all there is), a series each. unit: B, %, count, s, ms, 1/s, B/s.\n\
         # [resources.quota]\n# left = 'bucket_limit_bytes - bucket_used_bytes'\n# all = 'bucket_limit_bytes'\n# unit = \"B\"\n\
         # Needs: cpu, memory, storage and network are built in. What one (core, GB, TB, Gbps) costs a month is yours to say; the buffer (%) is kept free.\n\
         # [needs.cpu]\n# price = 50.0\n# buffer = 20.0\n\
         # [needs.licences]\n# used = 'sum(seats_in_use)'\n# have = 'sum(seats_bought)'\n# unit = \"seat\"\n# price = 9.0\n\
         # Triggers: cpu, memory, response_time and queue_depth are built in. statistic: p50, p95, p99, mean, max over the time of `over`.\n\
         # [triggers.cpu]\n# above = 70.0\n# [triggers.backlog]\n# query = 'jobs_waiting'\n# statistic = \"max\"\n# above = 100.0\n\
         # over = \"1d\"\n# action = \"more workers\"\n",
    );
    out.push_str(
        "\n# Key figures beside those of the profile, or instead of one of them; `for` is how long a figure must hold; off = true leaves one out.\n\
         # [kpi.api_p99]\n# warning = 800.0\n# critical = 1500.0\n# for = \"5m\"\n\
         # [kpi.checkout]\n# query = 'sum(rate(orders_total[5m]))'\n# unit = \"1/s\"\n# worse = \"lower\"\n# target = 20.0\n# critical = 5.0\n",
    );
    out.push_str("\n# Thresholds of the rules; `perftop explain ID` says what each decides.\n");
    for rule in RULES.iter().filter(|r| !r.params.is_empty()) {
        _ = write!(out, "\n[rules.\"{}\"]\n", rule.id);
        for p in rule.params {
            _ = write!(out, "# {} ({}, {} to {})\n{} = {:?}\n", p.what, p.unit.word(), p.min, p.max, p.name, p.default);
        }
    }
    out
}
