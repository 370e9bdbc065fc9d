//! Strictly increasing numbers, and telling a replay from a reordering.

use super::{Fault, Seq};

/// The numbers taken from one object in this boot: the highest, and which of the 64 below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeqWindow {
    highest: u32,
    below: u64,
}

impl SeqWindow {
    /// Takes a number if it is above all that were taken.
    ///
    /// # Errors
    /// [`Fault::Replayed`] when it was taken, [`Fault::Reordered`] when it was passed over or is too old to tell.
    pub fn take(&mut self, seq: Seq) -> Result<(), Fault> {
        let Self { highest, below } = self;
        if seq.0 > *highest {
            let step = seq.0 - *highest;
            // Bit 0 stands for the number just below the highest.
            *below = if step > 64 { 0 } else { below.checked_shl(step).unwrap_or(0) | (1 << (step - 1)) };
            if *highest == 0 {
                *below = 0;
            }
            *highest = seq.0;
            return Ok(());
        }
        let back = *highest - seq.0;
        let taken = back == 0 || (back <= 64 && *below & (1 << (back - 1)) != 0);
        Err(if taken { Fault::Replayed } else { Fault::Reordered })
    }
    /// The highest number taken; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_told_from_a_reordering() {
        let mut window = SeqWindow::default();
        assert_eq!(window.take(Seq(5)), Ok(()));
        assert_eq!(window.take(Seq(8)), Ok(()));
        assert_eq!(window.take(Seq(8)), Err(Fault::Replayed));
        assert_eq!(window.take(Seq(5)), Err(Fault::Replayed));
        assert_eq!(window.take(Seq(6)), Err(Fault::Reordered));
        assert_eq!(window.take(Seq(4)), Err(Fault::Reordered));
        assert_eq!(window.take(Seq(72)), Ok(()));
        assert_eq!(window.take(Seq(8)), Err(Fault::Replayed));
        assert_eq!(window.take(Seq(1000)), Ok(()));
        assert_eq!(window.take(Seq(72)), Err(Fault::Reordered));
    }

    proptest::proptest! {
        #[test]
        fn no_number_is_ever_taken_twice(numbers in proptest::collection::vec(1_u32..300, 1..400)) {
            let mut window = SeqWindow::default();
            let mut highest = 0;
            for n in numbers {
                let taken = window.take(Seq(n));
                proptest::prop_assert_eq!(taken.is_ok(), n > highest);
                highest = highest.max(n);
            }
        }
    }
}
