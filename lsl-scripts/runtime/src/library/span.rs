//! Index ranges of the language: both ends inclusive, negative ones counted from the end, `start` after `end` meaning
//! everything but what lies between.

use std::ops::Range;

/// One end of a range made absolute; may still be negative.
pub(super) fn absolute(index: i32, len: usize) -> i64 {
    let index = i64::from(index);
    if index < 0 { index + i64::try_from(len).unwrap_or(i64::MAX) } else { index }
}

/// `index` as an element's position, if there is one.
pub(super) fn position(index: i32, len: usize) -> Option<usize> {
    usize::try_from(absolute(index, len)).ok().filter(|i| *i < len)
}

/// `index` moved into `0..=len`.
pub(super) fn clamp(index: i64, len: usize) -> usize {
    usize::try_from(index.max(0)).unwrap_or(usize::MAX).min(len)
}

/// What `[start, end]` selects: two ranges, the second empty unless `start` lies after `end`.
pub(super) fn selected(start: i32, end: i32, len: usize) -> [Range<usize>; 2] {
    let (s, e) = (absolute(start, len), absolute(end, len));
    if s > e {
        let (head, tail) = (clamp(e + 1, len), clamp(s, len));
        [0..head, tail..len]
    } else {
        let from = clamp(s, len);
        [from..clamp(e + 1, len).max(from), len..len]
    }
}

/// What remains when `[start, end]` is removed.
pub(super) fn remaining(start: i64, end: i64, len: usize) -> [Range<usize>; 2] {
    if start > end {
        let from = clamp(end + 1, len);
        [from..clamp(start, len).max(from), len..len]
    } else {
        let head = clamp(start, len);
        [0..head, clamp(end + 1, len).max(head)..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_wrap_around_when_start_is_after_end() {
        assert_eq!(selected(3, 1, 5), [0..2, 3..5]);
        assert_eq!(selected(-2, -1, 5), [3..5, 5..5]);
        assert_eq!(selected(1, 2, 5), [1..3, 5..5]);
        assert_eq!(selected(7, 9, 5), [5..5, 5..5]);
        assert_eq!(selected(-9, -7, 5), [0..0, 5..5]);
        assert_eq!(selected(-7, -9, 5), [0..0, 0..5]);
        assert_eq!(remaining(1, 2, 5), [0..1, 3..5]);
        assert_eq!(remaining(3, 1, 5), [2..3, 5..5]);
    }

    proptest! {
        #[test]
        fn selected_and_remaining_stay_inside_and_are_ordered(start: i32, end: i32, len in 0_usize..40) {
            let kept = remaining(absolute(start, len), absolute(end, len), len);
            for r in selected(start, end, len).into_iter().chain(kept.clone()) {
                prop_assert!(r.start <= r.end && r.end <= len);
            }
            let taken: usize = selected(start, end, len).iter().map(ExactSizeIterator::len).sum();
            let left: usize = kept.iter().map(ExactSizeIterator::len).sum();
            prop_assert_eq!(taken + left, len);
        }
    }
}
