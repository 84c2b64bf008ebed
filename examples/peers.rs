//! Prints once a second how many replies are awaited from each peer, as the dumps of the sockets show it:
//! `peers SECONDS [ADDRESS]`. What `tests/bench/peers` holds against the truth.

use std::time::Duration;

use perftop::collect::host::sockets::Sockets;
use perftop::collect::root::Roots;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().unwrap_or_default().parse()?;
    let wanted = args.next();
    let sockets = Sockets::start(Roots::default())?;
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let Some(Ok(peers)) = sockets.take().peers else { continue };
        let mut sums = std::collections::BTreeMap::new();
        for link in peers.links.iter().filter(|l| wanted.as_ref().is_none_or(|w| l.peer.to_string() == *w)) {
            let sum: &mut (u32, u32) = sums.entry(link.peer).or_default();
            *sum = (sum.0 + link.waiting, sum.1 + link.unclear);
        }
        for (peer, (waiting, unclear)) in sums {
            println!("{peer} {} {waiting} {unclear}", peers.rounds);
        }
    }
    Ok(())
}
