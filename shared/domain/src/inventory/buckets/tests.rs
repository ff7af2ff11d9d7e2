use super::*;
use proptest::prelude::*;

fn hot() -> Sku {
    Sku::parse("hot").unwrap()
}

fn buckets(available: &[i64]) -> Buckets {
    Buckets {
        layout: 1,
        available: available.to_vec(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Always the first.
fn first(_: usize) -> usize {
    0
}

fn part(bucket: u16, pieces: i64) -> Part {
    Part { bucket, pieces }
}

#[test]
fn pieces_come_from_the_preferred_bucket_then_from_another_one_then_from_several() {
    let three = buckets(&[1, 4, 2]);
    assert_eq!(three.take(2, 2, &mut first), Some(vec![part(2, -2)]));
    assert_eq!(three.take(3, 2, &mut first), Some(vec![part(1, -3)]));
    assert_eq!(
        three.take(6, 2, &mut first),
        Some(vec![part(1, -4), part(2, -2)])
    );
    assert_eq!(three.take(8, 2, &mut first), None);
}

#[test]
fn a_process_stays_with_its_bucket_until_another_one_wants_it() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    known.learn(&hot(), buckets(&[9, 9, 9]), at(0), &mut |_| 1);
    for _ in 0..2 {
        assert_eq!(known.take(&hot(), 1, &mut first), Some(vec![part(1, -1)]));
    }
    assert_eq!(
        known.in_conflict(&hot(), at(1), &mut first),
        Evasion::AtOnce
    );
    assert_eq!(known.take(&hot(), 1, &mut first), Some(vec![part(2, -1)]));
    assert_eq!(known.give_back(&hot(), 3), part(2, 3));
}

#[test]
fn a_sku_is_split_when_conflicts_rise_and_not_when_they_trickle() {
    let mut known = KnownStock::new(16);
    known.learn(&hot(), Buckets::whole(1_000), at(0), &mut first);
    for minute in 0..9 {
        let look = known.in_conflict(&hot(), at(60 * minute), &mut first);
        assert_eq!(look, Evasion::Look);
        assert_eq!(known.split_due(&hot()), None);
    }
    for _ in 0..3 {
        assert_eq!(known.split_due(&hot()), None);
        known.in_conflict(&hot(), at(1_000), &mut first);
    }
    assert_eq!(known.split_due(&hot()), Some(16));
    let split = buckets(&[62; 16]);
    assert_eq!(known.looked(&hot(), split, at(1_000), &mut first), None);
    for evasion in [Evasion::AtOnce, Evasion::Wait, Evasion::Wait] {
        assert_eq!(known.in_conflict(&hot(), at(1_002), &mut first), evasion);
        assert_eq!(known.split_due(&hot()), None, "it has all it may have");
    }
    let sold_out = Buckets {
        layout: 2,
        available: vec![0; 16],
    };
    assert_eq!(
        known.looked(&hot(), sold_out, at(1_003), &mut first),
        Some(1)
    );
}

#[test]
fn a_full_memory_forgets_others_and_not_who_is_in_conflict() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    known.learn(&hot(), Buckets::whole(1_000), at(0), &mut first);
    for number in 1..MAX_KNOWN {
        let cold = Sku::parse(format!("cold-{number}")).unwrap();
        known.learn(&cold, Buckets::whole(1), at(0), &mut first);
    }
    for _ in 0..HOT_CONFLICTS {
        known.in_conflict(&hot(), at(0), &mut first);
    }
    assert_eq!(known.split_due(&hot()), Some(MAX_BUCKETS));
    let new = Sku::parse("new").unwrap();
    known.learn(&new, buckets(&[1, 1]), at(0), &mut first);
    assert_eq!((known.known.len(), known.is_split(&new)), (1, true));
}

#[test]
fn few_pieces_are_not_split() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    known.learn(&hot(), Buckets::whole(15), at(0), &mut first);
    for _ in 0..9 {
        known.in_conflict(&hot(), at(0), &mut first);
    }
    assert_eq!(known.split_due(&hot()), None);
    known.learn(&hot(), Buckets::whole(16), at(0), &mut first);
    assert_eq!(known.split_due(&hot()), Some(2));
}

#[test]
fn what_is_taken_is_remembered_and_a_sku_that_seems_sold_out_is_looked_at() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    known.learn(&hot(), buckets(&[1, 1]), at(0), &mut first);
    for _ in 0..2 {
        let parts = known.take(&hot(), 1, &mut first).unwrap();
        for part in parts {
            known.moved(&hot(), part);
        }
    }
    assert_eq!(known.take(&hot(), 1, &mut first), None);
    known.moved(&hot(), part(0, 5));
    assert!(known.take(&hot(), 1, &mut first).is_some());
}

#[test]
fn a_delivery_reaches_every_bucket_and_a_correction_those_that_have_pieces() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    known.learn(&hot(), buckets(&[0, 2, 1]), at(0), &mut first);
    assert_eq!(
        known.restock(&hot(), 4, &mut first),
        Some(vec![part(0, 2), part(1, 1), part(2, 1)])
    );
    assert_eq!(
        known.restock(&hot(), -3, &mut first),
        Some(vec![part(0, 0), part(1, -2), part(2, -1)])
    );
    assert_eq!(known.restock(&hot(), -4, &mut first), None);
}

#[test]
fn what_nobody_split_is_one_bucket() {
    let mut known = KnownStock::new(MAX_BUCKETS);
    assert_eq!((known.layout(&hot()), known.is_split(&hot())), (0, false));
    assert_eq!(known.take(&hot(), 7, &mut first), Some(vec![part(0, -7)]));
    assert_eq!(known.give_back(&hot(), 7), part(0, 7));
    assert_eq!(known.restock(&hot(), 7, &mut first), Some(vec![part(0, 7)]));
    assert_eq!(known.in_conflict(&hot(), at(0), &mut first), Evasion::Look);
}

proptest! {
    #[test]
    fn nothing_is_stranded(
        available in prop::collection::vec(0_i64..20, 1..=64),
        pieces in 1_i64..200,
        preferred in 0_u16..64,
        pick in 0_usize..64,
    ) {
        let buckets = buckets(&available);
        let parts = buckets.take(pieces, preferred, &mut |count| pick % count);
        prop_assert_eq!(parts.is_some(), buckets.total() >= pieces);
        for part in parts.iter().flatten() {
            prop_assert!(part.pieces < 0);
            prop_assert!(-part.pieces <= available[usize::from(part.bucket)]);
        }
        if let Some(parts) = parts {
            prop_assert_eq!(parts.iter().map(|part| part.pieces).sum::<i64>(), -pieces);
        }
    }

    #[test]
    fn splitting_and_merging_move_pieces_and_neither_make_nor_lose_any(
        available in prop::collection::vec(0_i64..1_000, 1..=64),
        count in 1_u16..=64,
        pieces in 0_i64..1_000,
    ) {
        let buckets = buckets(&available);
        let after = buckets.resplit(count);
        prop_assert_eq!((after.count(), after.total()), (count, buckets.total()));
        let (least, most) = (after.available.iter().min(), after.available.iter().max());
        prop_assert!(most.unwrap() - least.unwrap() <= 1);
        let mut moved = available.clone();
        moved.resize(64, 0);
        for part in buckets.differences(&after) {
            moved[usize::from(part.bucket)] += part.pieces;
        }
        let (kept, gone) = moved.split_at(usize::from(count));
        prop_assert_eq!(kept, after.available);
        prop_assert!(gone.iter().all(|pieces| *pieces == 0));
        let given: i64 = buckets.give(pieces).iter().map(|part| part.pieces).sum();
        prop_assert_eq!(given, pieces);
    }
}
