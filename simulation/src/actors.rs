//! Those who use the cluster in a run.

mod function;
mod judge;
mod laggard;
mod many;
mod member;
mod reader;
mod subscriber;
mod switcher;
mod writer;

use std::time::Duration;

use watertable::client::StreamViewType;

use crate::{
    entropy::Random,
    plan::{Actor, Role, View},
    stage::{Shared, Stage},
};

pub use judge::judge;
pub use switcher::create_tables;

/// Everything an actor needs.
struct Cast {
    shared: Shared,
    /// Its number in the plan: what the history calls a client or reader.
    number: u32,
    table: usize,
    random: Random,
    seed: u64,
}

impl Cast {
    /// Whether it shall go on.
    fn goes_on(&self) -> bool {
        self.shared.stage() == Stage::Acting
    }

    /// Waits for up to so long, but not much longer than it shall go on.
    async fn pause(&mut self, most_ms: u64) {
        const PIECE: Duration = Duration::from_secs(60);
        let mut left = Duration::from_micros(self.random.between(0, most_ms * 1_000));
        while left > PIECE && self.goes_on() {
            tokio::time::sleep(PIECE).await;
            left -= PIECE;
        }
        tokio::time::sleep(left.min(PIECE)).await;
    }
}

/// Plays an actor until the faults are over; those to whom records are delivered, until the run is.
pub async fn play(shared: Shared, number: usize, actor: Actor) {
    let _active = (!actor.role.lasts()).then(|| shared.active());
    shared.reached(Stage::Acting).await;
    let cast = Cast {
        shared: shared.clone(),
        number: number as u32,
        table: actor.table,
        random: Random::new(actor.seed, "actor"),
        seed: actor.seed,
    };
    match actor.role {
        Role::Writer { pace_ms, operations, pad_bytes, habit } => {
            writer::write(cast, pace_ms, operations, pad_bytes, habit).await;
        }
        Role::Reader { pace_ms } => reader::read(cast, pace_ms).await,
        Role::Subscriber { pace_ms } => subscriber::follow(cast, pace_ms).await,
        Role::Laggard { pace_ms } => laggard::lag(cast, pace_ms).await,
        Role::Function(plan) => function::serve(cast, plan).await,
        Role::Member { consumer, credit, pace_ms } => member::consume(cast, consumer, credit, pace_ms).await,
        Role::Switcher { pace_ms } => switcher::switch(cast, pace_ms).await,
        Role::Creator { pace_ms } => switcher::create_and_delete(cast, pace_ms).await,
    }
}

/// What the client calls a view type.
fn view_type(view: View) -> StreamViewType {
    match view {
        View::KeysOnly => StreamViewType::KeysOnly,
        View::NewImage => StreamViewType::NewImage,
        View::OldImage => StreamViewType::OldImage,
        View::NewAndOldImages => StreamViewType::NewAndOldImages,
    }
}
