//! Looks how much room the disk has. By itself, so that it waits for nothing: what waits for a group may wait for this
//! node to take entries, which it does again only when this has seen that there is room.

use tokio::time::Duration;

use super::Node;

/// Looks until the node stops.
pub(super) async fn run(node: Node, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut was_full = false;
    loop {
        ticks.tick().await;
        node.shared.log.look_at_disk();
        let full = node.shared.log.is_full();
        match (was_full, full) {
            (false, true) => tracing::warn!("the disk is full: writes are refused, reads go on"),
            (true, false) => tracing::info!("the disk has room again: writes are taken"),
            _ => {}
        }
        was_full = full;
    }
}
