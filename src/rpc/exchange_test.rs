//! What a busy stream does with the order of its messages.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;

use super::*;
use crate::rpc::wire::peer::Ping;

/// Messages of one frame: many more than a task of tokio may receive or send before it has to yield (128).
const MESSAGES: u64 = 1000;

fn message(id: u64) -> Message {
    Message { group: 1, id, body: Some(Body::Ping(Ping { now_ms: id, echo_ms: 0 })) }
}

#[tokio::test]
async fn messages_are_handed_on_in_the_order_they_came_however_many_come_at_once() {
    let (queue, mut queued) = mpsc::channel(MESSAGES as usize);
    let inbound = stream::iter([
        Ok(Frame { messages: (0..MESSAGES / 2).map(message).collect() }),
        Ok(Frame { messages: (MESSAGES / 2..MESSAGES).map(message).collect() }),
    ]);
    let handled = Arc::new(AtomicU64::new(0));
    let counted = handled.clone();
    let answers = answer(inbound.chain(stream::pending()), move |_, body| {
        let queue = queue.clone();
        let counted = counted.clone();
        Answer::Later(
            async move {
                let Body::Ping(ping) = body else { unreachable!("only pings are sent") };
                queue.send(ping.now_ms).await.expect("the queue is open");
                // The answer comes later, as that of a disk does.
                tokio::task::yield_now().await;
                counted.fetch_add(1, Ordering::Relaxed);
                Body::Ping(ping)
            }
            .boxed(),
        )
    });
    let answered = answers.map(|frame| frame.expect("no answer fails").messages.len() as u64);
    let mut answered = Box::pin(answered);
    let mut count = 0;
    while count < MESSAGES {
        count += answered.next().await.expect("the stream is open");
    }
    assert_eq!(handled.load(Ordering::Relaxed), MESSAGES);
    let mut seen = Vec::new();
    queued.recv_many(&mut seen, MESSAGES as usize).await;
    let expected: Vec<u64> = (0..MESSAGES).collect();
    assert_eq!(seen, expected);
}
