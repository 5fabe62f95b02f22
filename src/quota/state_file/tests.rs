use proptest::prelude::*;

use super::*;

const REST: RestRule = RestRule {
    window: Duration::from_secs(60),
    guard: Duration::from_millis(60),
    hard_limit: Duration::from_secs(30),
};

fn at(seconds: u64) -> Moment {
    Moment::from(Duration::from_secs(seconds))
}

fn clocks(boot: u8, now: u64, boottime: u64, wall: u64) -> FileClocks {
    FileClocks {
        boot: [boot; 16],
        now: at(now),
        boottime: Duration::from_secs(boottime),
        wall: Duration::from_secs(wall),
    }
}

fn file(states: &[SlotState], closed: bool, clocks: &FileClocks) -> Vec<u8> {
    let header = Header {
        name: "acme/connection".into(),
        rest: REST,
        longest: longest(states.iter().copied(), clocks.now),
        slots: u32::try_from(states.len()).unwrap(),
        closed,
    };
    let mut bytes = header.encode(clocks).unwrap().to_vec();
    for (slot, state) in (0..).zip(states) {
        assert_eq!(bytes.len() as u64, offset(slot));
        bytes.extend(record(slot, *state, clocks));
    }
    bytes
}

const STATES: [SlotState; 4] = [
    SlotState::Free,
    SlotState::Resting(Moment::from_nanos(1_050_000_000_000)),
    SlotState::InUse(Moment::from_nanos(990_000_000_000)),
    SlotState::Resting(Moment::from_nanos(1_010_000_000_000)),
];

#[test]
fn a_new_process_of_the_same_boot_gets_the_rests_to_the_nanosecond() {
    let before = clocks(1, 1000, 5000, 1_000_000);
    // Another base, 5 s later, and a wall clock that went an hour back: it is not asked.
    let after = clocks(1, 2, 5005, 1_000_005 - 3600);
    let bytes = file(&STATES, false, &before);
    let read = decode(&bytes, "acme/connection", &REST, &after).unwrap();
    assert_eq!(read[0], at(47));
    assert_eq!(read[2], at(7));
    assert_eq!(read.len(), 3);
}

#[test]
fn a_slot_in_use_rests_its_hard_limit_and_the_window() {
    let before = clocks(1, 1000, 5000, 0);
    let after = clocks(1, 3000, 5005, 0);
    let bytes = file(&STATES, false, &before);
    let read = decode(&bytes, "acme/connection", &REST, &after).unwrap();
    // Taken 10 s before the stop, 15 s before now.
    assert_eq!(read[1], at(2985) + Duration::from_millis(90_060));
}

#[test]
fn a_longer_window_of_today_stretches_the_rests_of_yesterday() {
    let before = clocks(1, 1000, 5000, 0);
    let rest = RestRule { window: Duration::from_secs(100), ..REST };
    let bytes = file(&STATES, false, &before);
    let read = decode(&bytes, "acme/connection", &rest, &before).unwrap();
    assert_eq!(read[0], at(1090));
    let shorter = RestRule { window: Duration::from_secs(1), ..REST };
    let read = decode(&bytes, "acme/connection", &shorter, &before).unwrap();
    assert_eq!(read[0], at(1050));
}

#[test]
fn after_a_reboot_only_a_closed_file_counts_and_by_the_wall_clock() {
    let before = clocks(1, 1000, 5000, 1_000_000);
    let after = clocks(2, 3, 20, 1_000_030);
    let open = file(&STATES, false, &before);
    let closed = file(&STATES, true, &before);
    let read = |bytes: &[u8]| decode(bytes, "acme/connection", &REST, &after);
    assert_eq!(read(&open), Err(StateFileError::NotClosed));
    assert_eq!(read(&closed).unwrap()[0], at(23));
    // A wall clock an hour back can only make the rest as long as any.
    let back = clocks(2, 3, 20, 1_000_030 - 3600);
    let rests = decode(&closed, "acme/connection", &REST, &back).unwrap();
    assert_eq!(rests[0], REST.after_no_response(at(3)));
}

#[test]
fn clocks_that_are_read_one_after_the_other_contradict_nothing() {
    let before = clocks(1, 1000, 5000, 0);
    let bytes = file(&[SlotState::InUse(at(1000))], false, &before);
    let read = |late: u64| {
        let boottime = before.boottime - Duration::from_millis(late);
        decode(&bytes, "acme/connection", &REST, &FileClocks { boottime, ..before })
    };
    assert_eq!(read(0), Ok(vec![REST.after_no_response(at(1000))]));
    assert_eq!(read(90), read(0), "its process was held up between them");
    assert_eq!(read(110), Err(StateFileError::Implausible));
}

#[test]
fn foreign_cut_off_and_contradicting_files_are_unknown_state() {
    let now = clocks(1, 1000, 5000, 0);
    let good = file(&STATES, false, &now);
    let read = |bytes: &[u8], name: &str, clocks: &FileClocks| decode(bytes, name, &REST, clocks);
    assert_eq!(read(&good, "other/connection", &now), Err(StateFileError::OtherPool));
    assert_eq!(read(&good[..good.len() - 1], "acme/connection", &now), Err(StateFileError::CutOff));
    assert_eq!(read(b"", "acme/connection", &now), Err(StateFileError::CutOff));
    assert_eq!(read(&[7; 4096], "acme/connection", &now), Err(StateFileError::Foreign));
    assert_eq!(read(&[0; 4096], "acme/connection", &now), Err(StateFileError::Foreign));
    let mut before = good.clone();
    before[..8].copy_from_slice(b"TGSLOTS1");
    assert_eq!(read(&before, "acme/connection", &now), Err(StateFileError::Foreign));
    // The same boot, but earlier than the file.
    let early = clocks(1, 1000, 4000, 0);
    assert_eq!(read(&good, "acme/connection", &early), Err(StateFileError::Implausible));
    let name = "n".repeat(LONGEST_NAME + 1);
    let long = Header { name, rest: REST, longest: Duration::ZERO, slots: 0, closed: false };
    assert!(long.encode(&now).is_none());
}

#[test]
fn a_check_is_the_crc_of_its_number_and_the_bytes() {
    // "1234" and "56789": the check value of CRC-32.
    assert_eq!(check(b"56789", u32::from_le_bytes(*b"1234")), 0xcbf4_3926);
}

proptest! {
    #[test]
    fn a_record_stands_for_no_other_slot_and_a_hole_for_none(slot in 0..1_u32 << 22, other: u32) {
        prop_assume!(slot != other);
        let bytes = record(slot, STATES[1], &clocks(1, 1000, 5000, 0));
        prop_assert!(slot_of(slot, &bytes).is_ok());
        prop_assert_eq!(slot_of(other, &bytes), Err(StateFileError::Damaged));
        prop_assert_eq!(slot_of(slot, &[0; RECORD]), Err(StateFileError::Damaged));
    }

    #[test]
    fn up_to_four_bytes_in_a_row_that_were_lost_are_noticed(
        at in 0..(RECORD - 3), lost: [u8; 4], slot: u32,
    ) {
        let mut bytes = record(slot, STATES[2], &clocks(1, 1000, 5000, 0));
        prop_assume!(bytes[at..at + 4] != lost);
        bytes[at..at + 4].copy_from_slice(&lost);
        prop_assert_eq!(slot_of(slot, &bytes), Err(StateFileError::Damaged));
    }

    #[test]
    fn every_single_changed_byte_is_noticed(byte in 0..(HEADER + 4 * RECORD), change in 1..=255u8) {
        let now = clocks(1, 1000, 5000, 0);
        let mut bytes = file(&STATES, false, &now);
        bytes[byte] ^= change;
        prop_assert!(decode(&bytes, "acme/connection", &REST, &now).is_err());
    }

    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, repair: bool) {
        let now = clocks(1, 1000, 5000, 0);
        if repair {
            let good = file(&STATES, false, &now);
            bytes.splice(0..0, good[..HEADER].iter().copied());
        }
        let _ = decode(&bytes, "acme/connection", &REST, &now);
    }

    #[test]
    fn no_rest_is_ever_shortened(
        moments in proptest::collection::vec((0..3u8, 0..60_000u64), 0..50),
        base in 0..5000u64,
        passed in 0..200u64,
    ) {
        let before = clocks(1, 1000, 5000, 0);
        let states: Vec<SlotState> = moments.iter().map(|(kind, ms)| {
            let by = Duration::from_millis(*ms);
            match kind {
                0 => SlotState::Free,
                1 => SlotState::InUse(before.now.before(by)),
                _ => SlotState::Resting(before.now + by),
            }
        }).collect();
        let after = clocks(1, base, 5000 + passed, 77);
        let read = decode(&file(&states, false, &before), "acme/connection", &REST, &after).unwrap();
        let due: Vec<Moment> = states.iter().filter_map(|state| match state {
            SlotState::Free => None,
            SlotState::InUse(taken) => Some(REST.after_no_response(*taken)),
            SlotState::Resting(until) => Some(*until),
            _ => None,
        }).collect();
        prop_assert_eq!(read.len(), due.len());
        for (read, due) in read.iter().zip(due) {
            // How long after the stop each is free, by either base.
            let left = due.since(before.now);
            prop_assert!(read.since(after.now) + Duration::from_secs(passed) >= left);
        }
    }
}
