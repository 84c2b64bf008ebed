//! Takes what is private out of a recording before it is shared: arguments of commands, odd mounts and groups, the
//! host's name. What was judged then is judged again, so the scrubbed recording agrees with itself.
//!
//! `cargo run --example scrub -- IN.perftop OUT.perftop [FIRST LAST]` keeps samples FIRST to LAST (counted from 0).

use std::path::PathBuf;
use std::sync::Arc;

use perftop::engine::{Engine, to_json};
use perftop::model::foreign::Foreign;
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::record::writer::{SAMPLES, Target, Writer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, range @ ..] = args.as_slice() else { return Err("scrub IN OUT [FIRST LAST]".into()) };
    let at = |i: usize, default: usize| range.get(i).map_or(Ok(default), |v| v.parse::<usize>());
    let (first, last) = (at(0, 0)?, at(1, usize::MAX)?);
    let samples = Recording::open(&PathBuf::from(input))?.filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let mut engine = Engine::default();
    let mut writer = Writer::open(&Target::File(output.into()), 1000, None)?;
    let mut identity = None;
    for (i, mut sample) in samples.enumerate() {
        scrub(&mut sample);
        identity = sample.host.identity.clone().or(identity);
        if i < first || i > last {
            continue;
        }
        sample.host.identity.clone_from(&identity);
        let state = ((i - first) as u64).is_multiple_of(SAMPLES).then(|| engine.state());
        let said = to_json(&engine.fold(&sample).evaluation.diagnosis);
        writer.write(state, sample, said)?;
    }
    writer.finish()?;
    Ok(())
}

fn scrub(sample: &mut Sample) {
    if let Some(identity) = &mut sample.host.identity {
        identity.name = Foreign::from("db3");
    }
    if let Some(Ok(mounts)) = &mut sample.host.filesystems {
        mounts.retain(|fs| ["/full", "/dead"].iter().any(|lab| fs.mount.shown().ends_with(lab)) || fs.mount.shown() == "/");
    }
    let Some(sweep) = sample.host.sweep.as_mut().map(Arc::make_mut) else { return };
    for message in sweep.messages.iter_mut().flatten() {
        message.text = Foreign::from("a message of the kernel");
    }
    if let Ok(table) = &mut sweep.processes {
        for row in table.rows.iter_mut().map(Arc::make_mut) {
            if row.id.pid == 1 {
                row.comm = Foreign::from("init");
            } else if row.comm.shown().contains("backend") || row.comm.shown().contains("_tool") {
                row.comm = Foreign::from("agent");
            }
            // Which processes have the same arguments still shows: forks are told from programs by it.
            if let Some(command) = row.command.as_ref().filter(|c| !c.is_empty()) {
                let mark = crc32fast::hash(command.raw()) & 0xffff;
                row.command = Some(Foreign::from(format!("{} #{mark:04x}", row.comm).as_str()));
            }
            row.cgroups = row.cgroups.iter().filter(|g| g.path.shown().starts_with("/perftop-lab")).cloned().collect();
        }
    }
    if let Ok(groups) = &mut sweep.cgroups {
        groups.retain(|g| g.path.shown().starts_with("/perftop-lab"));
    }
}
