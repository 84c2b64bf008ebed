//! The queues in front of interfaces, as `tc -s qdisc` shows them: what waits to be sent, and what was dropped because too much did.

use std::collections::HashMap;

use crate::model::host::QueueRaw;
use crate::model::seen::Seen;

use super::netlink::{self, Part, attributes, u32_at};

/// NETLINK_ROUTE, which is 0.
const ROUTE: Option<rustix::net::Protocol> = None;
const GET_QDISC: u16 = 38;
/// `struct tcmsg`.
const MESSAGE: usize = 20;
/// The parent of an interface's outermost queue.
const ROOT: u32 = 0xffff_ffff;
const STATS2: u16 = 7;
const STATS_QUEUE: u16 = 3;

/// The outermost queue of each interface, by the interface's number; of the network namespace that the thread is in.
///
/// # Errors
/// When the kernel does not answer.
pub fn dump() -> Seen<HashMap<u32, QueueRaw>> {
    let mut queues = HashMap::new();
    netlink::ask("rtnetlink", ROUTE, GET_QDISC, &[0; MESSAGE], |body| {
        if let Some((index, queue)) = parse_queue(body) {
            queues.insert(index, queue);
        }
    })?;
    Ok(queues)
}

/// Parses one datagram of netlink messages.
pub fn parse(bytes: &[u8], each: &mut impl FnMut(u32, QueueRaw)) -> Part {
    netlink::walk(bytes, |body| {
        if let Some((index, queue)) = parse_queue(body) {
            each(index, queue);
        }
    })
}

/// `struct tcmsg`, and in its attributes `struct gnet_stats_queue`: qlen, backlog, drops, requeues, overlimits.
fn parse_queue(body: &[u8]) -> Option<(u32, QueueRaw)> {
    let (index, parent) = (u32_at(body, 4)?, u32_at(body, 12)?);
    let stats = attributes(body.get(MESSAGE..)?).find(|(kind, _)| *kind == STATS2)?.1;
    let queue = attributes(stats).find(|(kind, _)| *kind == STATS_QUEUE)?.1;
    (parent == ROOT).then_some((index, QueueRaw { packets: u32_at(queue, 0)?, drops: u32_at(queue, 8)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_that_is_up_has_a_queue() {
        let up = std::fs::read_to_string("/sys/class/net/lo/operstate").is_ok();
        let queues = dump().unwrap();
        let index: u32 = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap();
        assert!(up && queues.contains_key(&index), "{queues:?}");
    }

    #[test]
    fn only_the_outermost_queue_counts_and_a_cut_message_is_no_panic() {
        let message = |parent: u32| {
            let mut body = vec![0; 4];
            body.extend(7u32.to_ne_bytes());
            body.extend(1u32.to_ne_bytes());
            body.extend(parent.to_ne_bytes());
            body.extend([0; 4]);
            body.extend([28, 0, STATS2 as u8, 0, 24, 0, STATS_QUEUE as u8, 0]);
            for value in [5u32, 6000, 12, 0, 99] {
                body.extend(value.to_ne_bytes());
            }
            body
        };
        assert_eq!(parse_queue(&message(ROOT)), Some((7, QueueRaw { packets: 5, drops: 12 })));
        assert_eq!(parse_queue(&message(1)), None);
        let whole = message(ROOT);
        for cut in 0..whole.len() {
            assert_eq!(parse_queue(&whole[..cut]), None);
        }
    }
}
