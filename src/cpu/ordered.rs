//! Items in order, worked on in any order, consumed in order, in bounded space.
//!
//! Every thread produces, works and consumes: a worker that wants an item takes the next one from the iterator, and a
//! worker whose outcome is the next to consume consumes it and those that are ready after it. On two cores two threads
//! do everything, and neither sleeps while there is work. Outcomes that wait for an earlier item are bounded: when too
//! many are ahead, workers wait before they take a new item.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Pools;
use crate::process::panic_message;

/// The step that a panic happened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Setting a worker up.
    Setup,
    /// Producing the item.
    Produce,
    /// Working on the item.
    Work,
    /// Consuming the item's outcome.
    Consume,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setting up for",
            Self::Produce => "producing",
            Self::Work => "working on",
            Self::Consume => "consuming",
        })
    }
}

/// A caught panic. The work has stopped and every thread has returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage} item {index} panicked: {message}")]
pub struct OrderedError {
    /// Number of the item from 0; items before it were consumed.
    pub index: usize,
    /// The step that panicked.
    pub stage: Stage,
    /// The panic's own message.
    pub message: String,
}

/// Works on `items` on every thread of `pools` and hands the outcomes to `consume` in the items'
/// order.
///
/// - `in_flight`: at most so many items (at least one) were taken and are not consumed yet.
/// - `setup(block)`: a worker's own state, made once on each thread.
/// - `consume` runs on pool threads, one call at a time; it ends the run early with `Break`, and
///   its value is returned. Items already taken are then worked on and dropped.
///
/// A panic anywhere is an error for the first item, in order, that had one.
pub fn run_ordered<I, S, R, B>(
    pools: &Pools,
    items: impl Iterator<Item = I> + Send,
    in_flight: usize,
    setup: impl Fn(usize) -> S + Sync,
    work: impl Fn(&mut S, I) -> R + Sync,
    consume: impl FnMut(R) -> ControlFlow<B> + Send,
) -> Result<ControlFlow<B>, OrderedError>
where
    R: Send,
    B: Send,
{
    let queue = Queue::new(items, consume, in_flight);
    pools.on_every_thread(&|block| {
        let mut state = caught(|| setup(block));
        while let Some((index, item)) = queue.take() {
            let outcome = match (item, &mut state) {
                (Err(message), _) => Err((Stage::Produce, message)),
                (Ok(item), Ok(state)) => {
                    caught(|| work(state, item)).map_err(|message| (Stage::Work, message))
                }
                (Ok(_), Err(message)) => Err((Stage::Setup, message.clone())),
            };
            queue.put(index, outcome);
            queue.consume_ready();
        }
    });
    let sink = queue
        .sink
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match sink.end {
        None => Ok(ControlFlow::Continue(())),
        Some(Ok(value)) => Ok(ControlFlow::Break(value)),
        Some(Err(error)) => Err(error),
    }
}

type Outcome<R> = Result<R, (Stage, String)>;

struct Queue<T, F, R, B> {
    source: Mutex<Source<T>>,
    sink: Mutex<Sink<F, B>>,
    waiting: Mutex<Waiting<R>>,
    room: Condvar,
    in_flight: usize,
}

struct Source<T> {
    items: T,
    taken: usize,
}

struct Sink<F, B> {
    consume: F,
    end: Option<Result<B, OrderedError>>,
}

/// Outcomes that are not consumed yet: `ready[i]` is item `next + i`.
struct Waiting<R> {
    next: usize,
    ready: VecDeque<Option<Outcome<R>>>,
    stopped: bool,
}

impl<I, T, F, R, B> Queue<T, F, R, B>
where
    T: Iterator<Item = I>,
    F: FnMut(R) -> ControlFlow<B>,
{
    fn new(items: T, consume: F, in_flight: usize) -> Self {
        Self {
            source: Mutex::new(Source { items, taken: 0 }),
            sink: Mutex::new(Sink { consume, end: None }),
            waiting: Mutex::new(Waiting {
                next: 0,
                ready: VecDeque::new(),
                stopped: false,
            }),
            room: Condvar::new(),
            in_flight: in_flight.max(1),
        }
    }

    /// The next item and its number, once there is room for it; `None` at the end.
    fn take(&self) -> Option<(usize, Result<I, String>)> {
        let mut source = lock(&self.source);
        let mut waiting = lock(&self.waiting);
        while !waiting.stopped && source.taken - waiting.next >= self.in_flight {
            waiting = self
                .room
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.stopped {
            return None;
        }
        drop(waiting);
        let item = caught(|| source.items.next()).transpose()?;
        source.taken += 1;
        Some((source.taken - 1, item))
    }

    fn put(&self, index: usize, outcome: Outcome<R>) {
        let mut waiting = lock(&self.waiting);
        if waiting.stopped {
            return;
        }
        let at = index - waiting.next;
        if waiting.ready.len() <= at {
            waiting.ready.resize_with(at + 1, || None);
        }
        waiting.ready[at] = Some(outcome);
    }

    /// Consumes while the next outcome is there and no other thread consumes. The thread that held the sink looks again
    /// after releasing it, so an outcome put meanwhile is not left behind.
    fn consume_ready(&self) {
        while self.next_is_ready() {
            let Ok(mut sink) = self.sink.try_lock() else {
                return;
            };
            while let Some((index, outcome)) = self.next() {
                let failed = |(stage, message)| OrderedError {
                    index,
                    stage,
                    message,
                };
                let end = match outcome.map_err(failed) {
                    Ok(outcome) => match caught(|| (sink.consume)(outcome)) {
                        Ok(ControlFlow::Continue(())) => continue,
                        Ok(ControlFlow::Break(value)) => Ok(value),
                        Err(message) => Err(failed((Stage::Consume, message))),
                    },
                    Err(error) => Err(error),
                };
                sink.end = Some(end);
                self.stop();
            }
        }
    }

    fn next_is_ready(&self) -> bool {
        matches!(lock(&self.waiting).ready.front(), Some(Some(_)))
    }

    fn next(&self) -> Option<(usize, Outcome<R>)> {
        let mut waiting = lock(&self.waiting);
        let outcome = waiting.ready.front_mut()?.take()?;
        waiting.ready.pop_front();
        waiting.next += 1;
        // Only the holder of the source waits for room.
        self.room.notify_one();
        Some((waiting.next - 1, outcome))
    }

    fn stop(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.stopped = true;
        waiting.ready.clear();
        self.room.notify_all();
    }
}

/// Panics are caught before they reach a guard, so a lock is never poisoned for real.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f`; a panic becomes its message. What `f` left half done is not used again.
fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| panic_message(payload.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::{CoreBlock, CorePlan};
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    fn pools(threads: &[usize]) -> Pools {
        let block = |&threads| CoreBlock {
            cpus: [0].into_iter().collect(),
            threads,
        };
        let blocks = threads.iter().map(block).collect();
        Pools::new(&CorePlan {
            blocks,
            ..CorePlan::unpinned(1)
        })
        .unwrap()
    }

    /// Some items take long, in a pattern that differs from run to run.
    fn dawdle(seed: u64) {
        if seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 == 0 {
            std::thread::sleep(Duration::from_micros(seed % 300));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn outcomes_come_in_order_and_few_are_in_flight(
            threads in proptest::collection::vec(1..4_usize, 1..4),
            n in 0..200_u64,
            in_flight in 0..12_usize,
            seed: u64,
        ) {
            let (taken, consumed, worst) =
                (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
            let items = (0..n).inspect(|_| {
                let ahead = taken.fetch_add(1, SeqCst) + 1 - consumed.load(SeqCst);
                worst.fetch_max(ahead, SeqCst);
            });
            let mut seen = Vec::new();
            let end: Result<ControlFlow<()>, _> = run_ordered(
                &pools(&threads),
                items,
                in_flight,
                |block| block,
                |_, item| {
                    dawdle(seed ^ item);
                    item * 2
                },
                |outcome| {
                    consumed.fetch_add(1, SeqCst);
                    seen.push(outcome);
                    ControlFlow::Continue(())
                },
            );
            prop_assert_eq!(end, Ok(ControlFlow::Continue(())));
            prop_assert_eq!(seen, (0..n).map(|item| item * 2).collect::<Vec<_>>());
            // An outcome counts as consumed for the window just before `consume` sees it.
            prop_assert!(worst.into_inner() <= in_flight.max(1) + 1);
        }
    }

    /// Panics at the given places; says what came out and how many outcomes were consumed.
    fn fails(at: &[(Stage, u64)]) -> (Result<ControlFlow<u64>, OrderedError>, u64) {
        let boom = |stage, item| {
            if at.contains(&(stage, item)) {
                // Like a panic, without a word on stderr.
                std::panic::resume_unwind(Box::new(format!("boom {item}")));
            }
        };
        let mut consumed = 0;
        let end = run_ordered(
            &pools(&[2, 1]),
            (0..50).inspect(|&item| boom(Stage::Produce, item)),
            4,
            |_| boom(Stage::Setup, 0),
            |(), item| {
                dawdle(item);
                boom(Stage::Work, item);
                item
            },
            |item| {
                boom(Stage::Consume, item);
                consumed += 1;
                if item == 40 {
                    ControlFlow::Break(item)
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        (end, consumed)
    }

    #[test]
    fn a_panic_is_the_error_of_its_item() {
        let check = |at: &[(Stage, u64)], index: u64, stage: Stage| {
            let (end, consumed) = fails(at);
            let message = format!("boom {index}");
            let index = usize::try_from(index).unwrap();
            assert_eq!(
                end,
                Err(OrderedError {
                    index,
                    stage,
                    message
                }),
                "{at:?}"
            );
            assert_eq!(consumed, index as u64, "{at:?}");
        };
        check(&[(Stage::Work, 0)], 0, Stage::Work);
        check(
            &[(Stage::Work, 17), (Stage::Work, 13), (Stage::Work, 16)],
            13,
            Stage::Work,
        );
        check(&[(Stage::Produce, 13)], 13, Stage::Produce);
        check(&[(Stage::Consume, 13)], 13, Stage::Consume);
        check(&[(Stage::Setup, 0)], 0, Stage::Setup);
    }

    #[test]
    fn breaking_ends_early_with_its_value() {
        assert_eq!(fails(&[]), (Ok(ControlFlow::Break(40)), 41));
        assert_eq!(
            fails(&[(Stage::Work, 45)]),
            (Ok(ControlFlow::Break(40)), 41)
        );
    }

    #[test]
    fn errors_say_what_happened() {
        let (end, _) = fails(&[(Stage::Work, 3)]);
        assert_eq!(
            end.unwrap_err().to_string(),
            "working on item 3 panicked: boom 3"
        );
    }
}
