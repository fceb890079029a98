//! The changes a leader has proposed and not yet applied, laid over the item store.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use bytes::Bytes;

use super::{View, Visit};

/// Pending changes of one term, in log order. Owned by the replica loop alone.
#[derive(Debug, Default)]
pub struct Overlay {
    /// The newest pending state of each key, and the proposal it belongs to.
    items: BTreeMap<Bytes, Pending>,
    /// The proposals in flight, oldest first, and the keys each has changed.
    proposals: VecDeque<Vec<Bytes>>,
    /// Number of the oldest proposal in flight.
    oldest: u64,
    /// Keys of the proposal being put together.
    current: Vec<Bytes>,
}

#[derive(Debug)]
struct Pending {
    stored: Option<Bytes>,
    proposal: u64,
}

impl Overlay {
    /// Notes a change of the proposal being put together.
    pub fn note(&mut self, key: Bytes, stored: Option<Bytes>) {
        let proposal = self.oldest + self.proposals.len() as u64;
        self.items.insert(key.clone(), Pending { stored, proposal });
        self.current.push(key);
    }

    /// The proposal that was being put together is proposed.
    pub fn propose(&mut self) {
        self.proposals.push_back(std::mem::take(&mut self.current));
    }

    /// The oldest proposal is applied: the item store shows its changes now.
    pub fn applied(&mut self) {
        let keys = self.proposals.pop_front().expect("a proposal is applied only after it was proposed");
        for key in keys {
            if self.items.get(&key).is_some_and(|pending| pending.proposal == self.oldest) {
                self.items.remove(&key);
            }
        }
        self.oldest += 1;
    }

    /// How many proposals are in flight.
    pub fn in_flight(&self) -> usize {
        self.proposals.len()
    }

    /// Forgets everything: leadership was lost.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The items as they will be when everything in flight is applied.
    pub fn over<'a, V: View + ?Sized>(&'a self, below: &'a V) -> Layered<'a, V> {
        Layered { overlay: self, below }
    }
}

/// An overlay over a view.
pub struct Layered<'a, V: ?Sized> {
    overlay: &'a Overlay,
    below: &'a V,
}

impl<V: View + ?Sized> View for Layered<'_, V> {
    type Error = V::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Self::Error> {
        match self.overlay.items.get(key) {
            Some(pending) => Ok(pending.stored.clone()),
            None => self.below.get(key),
        }
    }

    /// Not needed by evaluation, which reads single items: ranges show the view below.
    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Self::Error> {
        self.below.range(from, to, reverse, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;

    impl View for Empty {
        type Error = std::convert::Infallible;

        fn get(&self, _: &[u8]) -> Result<Option<Bytes>, Self::Error> {
            Ok(None)
        }

        fn range(
            &self,
            _: Bound<&[u8]>,
            _: Bound<&[u8]>,
            _: bool,
            _: &mut Visit<'_>,
        ) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    #[test]
    fn a_later_proposal_of_the_same_key_outlives_the_earlier() {
        let (key, one, two) = (Bytes::from_static(b"k"), Bytes::from_static(b"1"), Bytes::from_static(b"2"));
        let mut overlay = Overlay::default();
        overlay.note(key.clone(), Some(one.clone()));
        overlay.propose();
        assert_eq!(overlay.over(&Empty).get(&key), Ok(Some(one)));
        overlay.note(key.clone(), Some(two.clone()));
        overlay.propose();
        overlay.applied();
        assert_eq!(overlay.over(&Empty).get(&key), Ok(Some(two)));
        overlay.applied();
        assert_eq!(overlay.over(&Empty).get(&key), Ok(None));
        assert_eq!(overlay.in_flight(), 0);
    }

    #[test]
    fn a_pending_delete_hides_the_stored_item() {
        struct One;
        impl View for One {
            type Error = std::convert::Infallible;
            fn get(&self, _: &[u8]) -> Result<Option<Bytes>, Self::Error> {
                Ok(Some(Bytes::from_static(b"stored")))
            }
            fn range(
                &self,
                _: Bound<&[u8]>,
                _: Bound<&[u8]>,
                _: bool,
                _: &mut Visit<'_>,
            ) -> Result<(), Self::Error> {
                Ok(())
            }
        }
        let mut overlay = Overlay::default();
        overlay.note(Bytes::from_static(b"k"), None);
        assert_eq!(overlay.over(&One).get(b"k"), Ok(None));
        overlay.clear();
        assert_eq!(overlay.over(&One).get(b"k"), Ok(Some(Bytes::from_static(b"stored"))));
    }
}
