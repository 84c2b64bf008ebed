//! `/proc/net/softnet_stat`, connection tracking, and the limits of tasks and ports.

use crate::collect::root::{Reader, Roots, fields, lines};
use crate::model::host::{LimitsRaw, SoftnetRaw};

/// Sweeps between two reads of limits that an operator sets by hand.
const SETTINGS_EVERY: u64 = 15;

/// The probe and the settings as last read.
#[derive(Debug, Default)]
pub struct Limits {
    settings: LimitsRaw,
    tracks: bool,
    round: u64,
}

impl Limits {
    /// Reads the counters, and now and then the settings.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots) -> LimitsRaw {
        let sys = |name: &str| roots.proc.join("sys").join(name);
        if self.round.is_multiple_of(SETTINGS_EVERY) {
            let mut number = |name: &str| reader.number(&sys(name));
            self.settings.threads_max = number("kernel/threads-max");
            self.settings.pid_max = number("kernel/pid_max");
            // What stands below sys/net is that of the reader's own network, whoever's /proc it is: unknown of another.
            let mut number = |name: &str| if name.starts_with("net/") && !roots.own_proc() { None } else { number(name) };
            let most = number("net/netfilter/nf_conntrack_max");
            let now = number("net/netfilter/nf_conntrack_count");
            self.tracks = most.is_some();
            self.settings.conntrack = now.zip(most);
            self.settings.reuse = number("net/ipv4/tcp_tw_reuse").and_then(|n| u8::try_from(n).ok());
            self.settings.ports =
                if roots.own_proc() { reader.parse(&sys("net/ipv4/ip_local_port_range"), parse_range).ok() } else { None };
        }
        self.round += 1;
        let mut raw = self.settings;
        raw.softnet = reader.parse_again(&roots.net("softnet_stat"), parse_softnet).ok();
        if self.tracks {
            let count = |b: &[u8]| std::str::from_utf8(b).ok()?.trim().parse().ok();
            let now: Option<u64> = reader.parse_again(&sys("net/netfilter/nf_conntrack_count"), count).ok();
            raw.conntrack = now.or(raw.conntrack.map(|c| c.0)).zip(raw.conntrack.map(|c| c.1));
            raw.conntrack_drops = reader.parse_again(&roots.net("stat/nf_conntrack"), parse_conntrack).ok();
        }
        raw
    }
}

fn hex(field: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok()
}

/// Sums the rows of softnet_stat: hexadecimal, one row per online CPU; columns 1 processed, 2 dropped, 3 squeezed.
#[must_use]
pub fn parse_softnet(text: &[u8]) -> Option<SoftnetRaw> {
    let mut sum = SoftnetRaw::default();
    let mut seen = false;
    for line in lines(text) {
        let mut f = fields(line).map(hex);
        let (Some(Some(processed)), Some(Some(dropped)), Some(Some(squeezed))) = (f.next(), f.next(), f.next()) else { continue };
        seen = true;
        sum.processed = sum.processed.saturating_add(processed);
        sum.dropped = sum.dropped.saturating_add(dropped);
        sum.squeezed = sum.squeezed.saturating_add(squeezed);
    }
    seen.then_some(sum)
}

/// Sums what was lost, by the names in the heading: the columns were renamed more than once.
#[must_use]
pub fn parse_conntrack(text: &[u8]) -> Option<u64> {
    let mut rows = lines(text);
    let heads: Vec<&[u8]> = fields(rows.next()?).collect();
    // early_drop made room for a new one, insert_failed settles two that came at once: neither is lost for lack of room.
    let lost = |name: &[u8]| name == b"drop";
    let mut sum: u64 = 0;
    for row in rows {
        for (_, value) in heads.iter().zip(fields(row)).filter(|(head, _)| lost(head)) {
            sum = sum.saturating_add(hex(value).unwrap_or(0));
        }
    }
    heads.iter().any(|h| lost(h)).then_some(sum)
}

fn parse_range(text: &[u8]) -> Option<(u16, u16)> {
    let mut f = fields(text).map(|f| std::str::from_utf8(f).ok()?.parse().ok());
    Some((f.next()??, f.next()??)).filter(|(low, high)| low <= high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_and_garbage_rows_left_out() {
        let text = b"000000ff 00000002 00000003 0 0\nzz 1 2\n00000001 00000001 00000000\n";
        assert_eq!(parse_softnet(text), Some(SoftnetRaw { processed: 256, dropped: 3, squeezed: 3 }));
        assert_eq!(parse_softnet(b"\n"), None);
    }

    #[test]
    fn columns_of_conntrack_are_found_by_name() {
        let text = b"entries  searched found insert insert_failed drop early_drop\n0000000a 0 0 0 00000001 0000000f 00000000\n";
        assert_eq!(parse_conntrack(text), Some(15));
        assert_eq!(parse_conntrack(b"entries found\n1 2\n"), None);
        assert_eq!(parse_range(b"32768\t60999\n"), Some((32768, 60999)));
    }
}
