//! Where all randomness of a run comes from: its seed.
//!
//! Decision: the C library's `getrandom` is replaced in this program by a generator of our own. Whatever asks the
//! operating system for randomness - the hash maps of the standard library, every version of `rand`, tokio's `select!`,
//! openraft's election timeouts, temporary names - so gets the seed's, also in dependencies we do not know of. That
//! spares a wrapper round openraft's runtime and a build of everything with `tokio_unstable`; `meta` is the proof that
//! it suffices. Time is replaced in the same way (`clock_gettime`): h2, for one, forgets streams it has reset by the clock
//! of the machine.

use std::{
    ffi::{c_int, c_uint, c_void},
    sync::atomic::{AtomicU64, Ordering},
};

static STATE: AtomicU64 = AtomicU64::new(0);

/// From now on the process' randomness is this seed's. A thread whose hash maps shall be too must be started afterwards.
pub fn seed(seed: u64) {
    STATE.store(mix(seed), Ordering::Relaxed);
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Fills `length` bytes at `buffer`.
///
/// # Safety
/// As of the C library's function: `buffer` is writable for `length` bytes.
#[expect(unsafe_code, reason = "this is the C library's interface")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: c_uint) -> isize {
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let next = mix(STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP));
        chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
    }
    length.cast_signed()
}

/// The same for those who ask so.
///
/// # Safety
/// As of the C library's function: `buffer` is writable for `length` bytes.
#[expect(unsafe_code, reason = "this is the C library's interface")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: usize) -> c_int {
    // SAFETY: the caller says so.
    unsafe { getrandom(buffer, length, 0) };
    0
}

static TIME_NS: AtomicU64 = AtomicU64::new(0);

/// From now on the time is this, nanoseconds since 1970.
pub fn set_time_ns(time_ns: u64) {
    TIME_NS.store(time_ns, Ordering::Relaxed);
}

/// Tells the time: the simulated one, once it was set; of clocks that measure what the processor does, the machine's.
///
/// # Safety
/// As of the C library's function: `answer` is writable.
#[expect(unsafe_code, reason = "this is the C library's interface")]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, answer: *mut libc::timespec) -> c_int {
    let time_ns = TIME_NS.load(Ordering::Relaxed);
    if ![libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock) || time_ns == 0 {
        // SAFETY: the caller's arguments, handed on.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, answer) as c_int };
    }
    let (seconds, nanoseconds) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    // SAFETY: the caller says that it is writable.
    unsafe { *answer = libc::timespec { tv_sec: seconds.cast_signed(), tv_nsec: nanoseconds.cast_signed() } };
    0
}

/// Numbers that look random, and are what their seed makes them (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed; other purposes have other numbers.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(mix(seed ^ xxhash_rust::xxh3::xxh3_64(purpose.as_bytes())))
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Below this, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of both ends or between.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True so many times out of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, several: &'a [T]) -> &'a T {
        &several[self.below(several.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_seed_decides_the_order_of_hash_maps() {
        let order = |number| {
            seed(number);
            let list = || (0..64).map(|key| (key, ())).collect::<HashMap<u64, ()>>().into_keys().collect();
            let listing = std::thread::Builder::new().spawn(list).expect("a thread starts");
            let order: Vec<u64> = listing.join().expect("it lists the keys");
            order
        };
        let first = order(1);
        assert_eq!(first, order(1));
        assert_ne!(first, order(2));
    }
}
