//! Delta debugging: which pieces of a plan a failure needs. The algorithm is ddmin of A. Zeller and R. Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", 2002.

use std::collections::BTreeSet;

/// What came of trying some candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The candidate at this index still fails, and none before it does.
    Fails(usize),
    /// None of them fails.
    NoneFails,
    /// There was no time to try them.
    Stopped,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// The pieces that the failure does not need.
    pub left_out: BTreeSet<usize>,
    /// Whether each of the others was seen to be needed; not if the search was stopped.
    pub complete: bool,
}

/// Leaves out as many of the pieces `0..pieces` as it can. `first_failing` tries candidates, each the set of pieces
/// left out, and may try them at the same time; with nothing left out it must fail. Whatever `first_failing` is (more
/// left out need not fail less), the result fails, and, if complete, does not without any single further piece.
pub fn ddmin<E>(
    pieces: usize,
    mut first_failing: impl FnMut(&[BTreeSet<usize>]) -> Result<Tried, E>,
) -> Result<Minimal, E> {
    let all: BTreeSet<usize> = (0..pieces).collect();
    let mut kept: Vec<usize> = all.iter().copied().collect();
    let minimal = |kept: &[usize], complete| {
        let kept: BTreeSet<usize> = kept.iter().copied().collect();
        Minimal { left_out: all.difference(&kept).copied().collect(), complete }
    };
    if pieces == 0 {
        return Ok(minimal(&kept, true));
    }
    // The paper takes for granted that nothing at all does not fail; here the rest of the plan may do it alone.
    match first_failing(std::slice::from_ref(&all))? {
        Tried::Fails(_) => return Ok(minimal(&[], true)),
        Tried::NoneFails => {}
        Tried::Stopped => return Ok(minimal(&kept, false)),
    }
    let mut parts = 2;
    while kept.len() > 1 {
        let mut candidates = split(&kept, parts);
        let subsets = candidates.len();
        if parts > 2 {
            // Of two parts, each is the other's complement.
            for part in 0..subsets {
                candidates
                    .push(kept.iter().copied().filter(|piece| !candidates[part].contains(piece)).collect());
            }
        }
        let left_out: Vec<_> = candidates.iter().map(|kept| minimal(kept, true).left_out).collect();
        match first_failing(&left_out)? {
            Tried::Fails(at) => {
                kept = candidates.swap_remove(at);
                parts = if at < subsets { 2 } else { (parts - 1).max(2) };
            }
            Tried::NoneFails if parts == kept.len() => break,
            Tried::NoneFails => parts = (2 * parts).min(kept.len()),
            Tried::Stopped => return Ok(minimal(&kept, false)),
        }
    }
    Ok(minimal(&kept, true))
}

/// Into so many parts, none empty, of sizes that differ by one at most.
fn split(pieces: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let ends = |part: usize| pieces.len() * part / parts;
    (0..parts).map(|part| pieces[ends(part)..ends(part + 1)].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    type Kept = BTreeSet<usize>;

    /// Runs it over a predicate of the pieces kept, and checks what it promises whatever the predicate is.
    fn checked(pieces: usize, fails: impl Fn(&Kept) -> bool) -> (Kept, usize) {
        let all: Kept = (0..pieces).collect();
        let kept = |left_out: &Kept| -> Kept { all.difference(left_out).copied().collect() };
        let mut tries = 0;
        let found = ddmin::<Infallible>(pieces, |candidates| {
            tries += candidates.len();
            let first = candidates.iter().position(|left_out| fails(&kept(left_out)));
            Ok(first.map_or(Tried::NoneFails, Tried::Fails))
        });
        let Ok(found) = found;
        assert!(found.complete);
        let result = kept(&found.left_out);
        assert!(fails(&result), "{result:?} does not fail");
        for piece in &result {
            let mut fewer = result.clone();
            fewer.remove(piece);
            assert!(!fails(&fewer), "{result:?} fails without {piece}, too");
        }
        (result, tries)
    }

    #[test]
    fn what_two_far_pieces_do_together_is_found() {
        for (one, other) in [(0, 99), (3, 4), (49, 50), (17, 71)] {
            let (result, tries) = checked(100, |kept| kept.contains(&one) && kept.contains(&other));
            assert_eq!(result, Kept::from([one, other]));
            assert!(tries < 150, "{tries} tries for {one} and {other}");
        }
    }

    #[test]
    fn the_example_of_the_paper_takes_the_steps_of_the_paper() {
        // Of the pieces 1 to 8, the failure needs 1, 7 and 8 (here one less each).
        let mut steps = Vec::new();
        let found = ddmin::<Infallible>(8, |candidates| {
            let first = candidates
                .iter()
                .position(|left_out| [0, 6, 7].iter().all(|piece| !left_out.contains(piece)));
            steps.push((candidates.len(), first));
            Ok(first.map_or(Tried::NoneFails, Tried::Fails))
        });
        let Ok(found) = found;
        assert_eq!(found, Minimal { left_out: (1..6).collect(), complete: true });
        // Nothing; halves; quarters, without the second of them; thirds, without the second of them; halves; quarters,
        // without the second of them; thirds.
        let expected = [(1, None), (2, None), (8, Some(5)), (6, Some(4)), (2, None), (8, Some(5)), (6, None)];
        assert_eq!(steps, expected);
    }

    #[test]
    fn every_single_piece_is_found() {
        for pieces in [1, 2, 3, 7, 8] {
            for piece in 0..pieces {
                assert_eq!(checked(pieces, |kept| kept.contains(&piece)).0, Kept::from([piece]));
            }
        }
    }

    #[test]
    fn what_needs_no_piece_is_left_with_none_and_what_needs_all_with_all() {
        assert_eq!(checked(40, |_| true), (Kept::new(), 1));
        assert_eq!(checked(0, |_| true), (Kept::new(), 0));
        assert_eq!(checked(13, |kept| kept.len() == 13).0.len(), 13);
    }

    #[test]
    fn predicates_that_fail_again_with_less_come_to_something_from_which_nothing_can_be_taken() {
        // Failing with n pieces says nothing of n - 1 here.
        assert_eq!(checked(30, |kept| kept.len() % 7 == 2).0.len(), 2);
        checked(24, |kept| kept.contains(&5) && (kept.len().is_multiple_of(2) || kept.contains(&9)));
        // One of two causes, the second of which shows only without the first.
        checked(16, |kept| kept.contains(&2) && kept.contains(&13) || !kept.contains(&2) && kept.len() > 3);
        // Any predicate at all: a hash decides; all pieces together always fail.
        for salt in 0..300u64 {
            let pieces = 1 + salt as usize % 11;
            checked(pieces, |kept| {
                let bits = kept
                    .iter()
                    .fold(salt, |bits, piece| bits.wrapping_mul(31).wrapping_add(*piece as u64 + 1));
                kept.len() == pieces || bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 == 0
            });
        }
    }

    #[test]
    fn a_search_that_is_stopped_keeps_what_it_reached() {
        let mut batches = 0;
        let found = ddmin::<Infallible>(64, |candidates| {
            batches += 1;
            assert!(!candidates.is_empty());
            if batches > 3 {
                return Ok(Tried::Stopped);
            }
            let first = candidates.iter().position(|left_out| !left_out.contains(&40));
            Ok(first.map_or(Tried::NoneFails, Tried::Fails))
        });
        let Ok(found) = found;
        assert!(!found.complete);
        // The first batch leaves out everything; the next two halve.
        let kept: Vec<usize> = (0..64).filter(|piece| !found.left_out.contains(piece)).collect();
        assert_eq!(kept, (32..48).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_of_the_tester_ends_the_search() {
        let mut batches = 0;
        let found = ddmin(8, |_| {
            batches += 1;
            if batches == 2 { Err("no process") } else { Ok(Tried::NoneFails) }
        });
        assert_eq!((found, batches), (Err("no process"), 2));
    }

    #[test]
    fn parts_are_never_empty_and_make_the_whole() {
        for pieces in 1..20 {
            let whole: Vec<usize> = (0..pieces).collect();
            for parts in 1..=pieces {
                let split = split(&whole, parts);
                assert_eq!(split.len(), parts);
                assert!(split.iter().all(|part| !part.is_empty()), "{pieces} into {parts}: {split:?}");
                assert_eq!(split.concat(), whole);
            }
        }
    }
}
