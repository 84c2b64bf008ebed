//! `/proc/pressure/*` and the `*.pressure` files of control groups.

use std::path::Path;

use crate::collect::root::{Reader, lines};
use crate::model::host::{PsiFile, PsiLine};
use crate::model::seen::{Lack, Seen, Why};

/// Reads one pressure file; says how to switch pressure accounting on where it is off.
///
/// # Errors
/// Absent and switched off are different reasons with the same way in.
pub fn read(reader: &mut Reader, path: &Path) -> Seen<PsiFile> {
    reader.parse(path, parse).map_err(with_the_way_in)
}

/// As [`read`], for a file that is read at every turn.
///
/// # Errors
/// As [`read`].
pub fn read_again(reader: &mut Reader, path: &Path) -> Seen<PsiFile> {
    reader.parse_again(path, parse).map_err(with_the_way_in)
}

fn with_the_way_in(lack: Lack) -> Lack {
    match lack.why {
        Why::Absent | Why::Unsupported => lack.lifted_by("boot with psi=1 on the kernel command line (Linux 4.20 or newer)"),
        _ => lack,
    }
}

/// Parses a pressure file; `full` is absent for CPU before Linux 5.13.
#[must_use]
pub fn parse(text: &[u8]) -> Option<PsiFile> {
    let mut some = None;
    let mut full = None;
    for line in lines(text) {
        let line = std::str::from_utf8(line).ok()?;
        match line.split_once(' ') {
            Some(("some", rest)) => some = parse_line(rest),
            Some(("full", rest)) => full = parse_line(rest),
            _ => {}
        }
    }
    Some(PsiFile { some: some?, full })
}

fn parse_line(rest: &str) -> Option<PsiLine> {
    let value = |name: &str| rest.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
    let average = |name: &str| value(name)?.parse::<f64>().ok().filter(|v| (0.0..=100.0).contains(v));
    Some(PsiLine {
        avg10: average("avg10")?,
        avg60: average("avg60")?,
        avg300: average("avg300")?,
        total_us: value("total")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_may_be_missing_and_lines_may_be_cut() {
        let file = parse(b"some avg10=1.53 avg60=0.72 avg300=0.34 total=1418826\n").unwrap();
        assert_eq!((file.some.total_us, file.full), (1_418_826, None));
        let both = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";
        assert_eq!(parse(both).unwrap().full.unwrap().total_us, 3);
        assert!(parse(b"some").is_none());
        assert!(parse(b"some avg10=-1 avg60=0 avg300=0 total=1").is_none());
    }
}
