//! The flowchart as text and as Mermaid: the start, the branches with what they cost, and what was answered. Pure.

use std::fmt::Write as _;

use crate::diagnose::chart::{Answer, Chart, Limb, Node, Verdict};
use crate::model::unit::short;

/// As plain text: each branch with its verdict, below it what is not a plain no.
#[must_use]
pub fn text(chart: &Chart) -> String {
    let (lost, all) = chart.losing;
    let mut out = format!("Does anyone lose time? {}: {} of {} s/s are waits\n", chart.loses.word(), short(lost), short(all));
    for node in chart.start().filter(|n| n.answer != Answer::No) {
        _ = writeln!(out, "{} {}: {}", node.question.text, node.answer.word(), node.because);
    }
    for (at, limb) in chart.branches().iter().enumerate() {
        let last = at + 1 == chart.branches().len();
        _ = writeln!(out, "{} {}: {}", if last { "└─" } else { "├─" }, limb.branch.name, verdict(limb));
        let trunk = if last { "   " } else { "│  " };
        let no = limb.nodes.iter().filter(|n| n.answer == Answer::No).count();
        for node in limb.nodes.iter().filter(|n| n.answer != Answer::No && limb.verdict != Verdict::Absent) {
            _ = writeln!(out, "{trunk} {} {}: {}", node.question.text, node.answer.word(), node.because);
            if node.answer == Answer::Unknown {
                _ = writeln!(out, "{trunk}   by hand: {}", node.question.by_hand);
            }
        }
        if no > 0 && limb.verdict != Verdict::Absent {
            _ = writeln!(out, "{trunk} {no} of {} questions: no", limb.nodes.len());
        }
    }
    out.extend(chart.end());
    out.trim_end().to_owned() + "\n"
}

fn verdict(limb: &Limb) -> String {
    match limb.verdict {
        Verdict::Cause => format!("the cause, {} s/s lost", short(limb.lost)),
        Verdict::AlsoCause => format!("a cause, {} s/s lost", short(limb.lost)),
        Verdict::Symptom => "a symptom of a cause elsewhere".into(),
        Verdict::Info => "nothing above info".into(),
        Verdict::Unknown => "unknown".into(),
        Verdict::Clear => "clear".into(),
        Verdict::Absent => format!("no {} server here", limb.branch.kind.name()),
    }
}

/// As Mermaid: the live way in full, the others one box each.
#[must_use]
pub fn mermaid(chart: &Chart) -> String {
    let (lost, all) = chart.losing;
    let mut out = "graph TD\n".to_owned();
    let head = format!("Does anyone lose time? {}: {} of {} s/s", chart.loses.word(), short(lost), short(all));
    _ = writeln!(out, "    start{{{}}}", quoted(&head));
    for (n, node) in chart.start().filter(|n| n.answer == Answer::Yes).enumerate() {
        _ = writeln!(out, "    start --- s{n}[{}]", quoted(&line(node)));
    }
    for (at, limb) in chart.branches().iter().enumerate() {
        _ = writeln!(out, "    start --> b{at}[{}]", quoted(&format!("{}: {}", limb.branch.name, verdict(limb))));
        if limb.verdict > Verdict::Info {
            continue;
        }
        let mut from = format!("b{at}");
        for (n, node) in limb.nodes.iter().enumerate().filter(|(_, n)| n.answer != Answer::No) {
            let id = format!("b{at}q{n}");
            _ = writeln!(out, "    {from} --> {id}{{{}}}", quoted(node.question.text));
            _ = writeln!(out, "    {id} -->|{}| {id}a[{}]", node.answer.word(), quoted(&node.because));
            from = id;
        }
    }
    for (at, limb) in chart.branches().iter().enumerate().filter(|(_, l)| l.verdict == Verdict::Cause) {
        let leaf = limb.leaf.map_or_else(String::new, |n| format!(",b{at}q{n},b{at}q{n}a"));
        _ = writeln!(out, "    classDef cause stroke-width:4px\n    class b{at}{leaf} cause");
    }
    out
}

/// Text from outside ends no box: quotes and what Mermaid or HTML read are written as entities.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '#' | '%' | '&' | '<' | '>' | '`' | '\\' => _ = write!(out, "#{};", c as u32),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What a node says in one line.
#[must_use]
pub fn line(node: &Node) -> String {
    format!("{} {}: {}", node.question.text, node.answer.word(), node.because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_ends_no_box() {
        assert_eq!(quoted("a \"b\"] --> x <script>"), "\"a #34;b#34;] --#62; x #60;script#62;\"");
        assert_eq!(quoted("a\nb"), "\"a b\"");
        assert!(!quoted("%%{init: {}}%%").contains("%%"));
    }
}
