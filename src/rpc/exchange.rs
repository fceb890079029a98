//! The answering end of a stream between two nodes.

use futures::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use tokio::task::unconstrained;
use tonic::Status;

use super::wire::peer::{Frame, Message, message::Body};

/// What a message calls for.
pub enum Answer {
    /// Nothing.
    Nothing,
    /// This body.
    Now(Body),
    /// This body, later.
    Later(BoxFuture<'static, Body>),
}

/// Answers the messages of `inbound`: `handle` is called for each in order of arrival, and the future it may
/// return is polled once at once - so that what it hands to a queue first thing is queued in that order too - and
/// then alongside the others. Whatever is ready to be sent goes out as one frame.
pub fn answer(
    inbound: impl Stream<Item = Result<Frame, Status>> + Send + Unpin + 'static,
    handle: impl FnMut(u64, Body) -> Answer + Send + 'static,
) -> impl Stream<Item = Result<Frame, Status>> + Send + 'static {
    let exchange = Exchange { inbound, handle, pending: FuturesUnordered::new(), open: true };
    stream::unfold(exchange, |mut exchange| async move {
        let frame = exchange.next_frame().await?;
        Some((Ok(frame), exchange))
    })
}

struct Exchange<I, H> {
    inbound: I,
    handle: H,
    pending: FuturesUnordered<BoxFuture<'static, Message>>,
    open: bool,
}

impl<I, H> Exchange<I, H>
where
    I: Stream<Item = Result<Frame, Status>> + Unpin,
    H: FnMut(u64, Body) -> Answer,
{
    /// The next frame to send; `None` when the other end is gone and everything is answered.
    async fn next_frame(&mut self) -> Option<Frame> {
        let mut messages = Vec::new();
        loop {
            tokio::select! {
                biased;
                frame = self.inbound.next(), if self.open => match frame {
                    Some(Ok(frame)) => self.take(frame, &mut messages),
                    Some(Err(_)) | None => self.open = false,
                },
                Some(message) = self.pending.next(), if !self.pending.is_empty() => messages.push(message),
                else => return (!messages.is_empty()).then_some(Frame { messages }),
            }
            if !self.open {
                return None; // nobody is left to hear the answers
            }
            while let Some(Some(message)) = self.pending.next().now_or_never() {
                messages.push(message);
            }
            if !messages.is_empty() {
                return Some(Frame { messages });
            }
        }
    }

    fn take(&mut self, frame: Frame, messages: &mut Vec<Message>) {
        for Message { group, id, body } in frame.messages {
            let Some(body) = body else { continue };
            match (self.handle)(group, body) {
                Answer::Nothing => {}
                Answer::Now(body) => messages.push(Message { group, id, body: Some(body) }),
                Answer::Later(answer) => {
                    let mut answer = answer.map(move |body| Message { group, id, body: Some(body) }).boxed();
                    // Unconstrained: a task of tokio that did much in one go finds every queue full until it
                    // yields. What then waited for its turn would be queued behind what came after it.
                    match unconstrained(&mut answer).now_or_never() {
                        Some(message) => messages.push(message),
                        None => self.pending.push(answer),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "exchange_test.rs"]
mod tests;
