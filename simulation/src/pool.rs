//! Several things at once, which all start children: a few threads, and one that hears of each end.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError, mpsc::sync_channel},
    thread,
};

/// As many as there are cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Does `work` on whatever `next` gives until that is nothing, so many at once. `ended` is called on this thread, in
/// the order in which they end; it is waited for, so results do not pile up. After an error nothing more is begun.
pub fn each<J: Send, R: Send, E: Send>(
    jobs: usize,
    next: impl FnMut() -> Option<J> + Send,
    work: impl Fn(J) -> Result<R, E> + Sync,
    mut ended: impl FnMut(R),
) -> Result<(), E> {
    let next = Mutex::new(next);
    let (send, results) = sync_channel(0);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (next, work, send) = (&next, &work, send.clone());
            scope.spawn(move || {
                loop {
                    let job = next.lock().unwrap_or_else(PoisonError::into_inner)();
                    let Some(job) = job else { return };
                    // After an error nobody listens.
                    if send.send(work(job)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Owned here, so that an error, or a panic of `ended`, lets the threads go.
        for result in results {
            ended(result?);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn everything_is_done_once_and_as_many_at_a_time_as_asked_for() {
        let mut numbers = 0..40u64;
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Passes only if four are at work at once.
        let barrier = Barrier::new(4);
        let mut done = Vec::new();
        let work = |number| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<u64, ()>(number)
        };
        assert_eq!(each(4, || numbers.next(), work, |number| done.push(number)), Ok(()));
        done.sort_unstable();
        assert_eq!(done, (0..40).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), 4);
    }

    #[test]
    fn no_job_at_all_is_an_end() {
        assert_eq!(each(3, || None::<u64>, Ok::<u64, ()>, |_| panic!("there was none")), Ok(()));
    }

    #[test]
    fn after_an_error_nothing_more_is_begun() {
        let begun = AtomicUsize::new(0);
        let mut numbers = 0..1_000_000u64;
        let work = |number| {
            begun.fetch_add(1, Ordering::SeqCst);
            if number == 3 { Err("no process") } else { Ok(number) }
        };
        let mut done = Vec::new();
        assert_eq!(each(1, || numbers.next(), work, |number| done.push(number)), Err("no process"));
        assert_eq!(done, [0, 1, 2]);
        assert!(begun.into_inner() <= 5, "each thread may begin one more before it learns of the error");
    }
}
