//! Made keys with a folder that stalls, fails or works.

use std::sync::Condvar;

use tokio::task::JoinHandle;
use tokio::time::advance;

use super::super::journal::{RowSink, STALL};
use super::*;
use crate::call::Result;
use crate::error::{Code, Outcome as Fate};
use crate::ids::RandomId;
use crate::record::{Marks, Observer, Record, Shortage};

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// Whether the folder is open, and the counts of its rows in the order in which they were written.
type State = Mutex<(bool, Vec<u32>)>;

/// A folder that takes rows while it is open.
#[derive(Clone, Default)]
struct Folder(Arc<(State, Condvar)>);

impl Folder {
    fn keys(&self) -> Arc<SendKeys> {
        Arc::new(SendKeys::with(Some(JournalWriter::new(Box::new(self.clone()))), Vec::new()))
    }

    fn open(&self) {
        self.0.0.lock().unwrap().0 = true;
        self.0.1.notify_all();
    }

    fn written(&self) -> Vec<u32> {
        self.0.0.lock().unwrap().1.clone()
    }
}

impl RowSink for Folder {
    fn write(&mut self, _: u32, known: &Remembered) -> bool {
        let shut = |state: &mut (bool, Vec<u32>)| !state.0;
        let mut state = self.0.1.wait_while(self.0.0.lock().unwrap(), shut).unwrap();
        state.1.push(known.count);
        true
    }
}

/// A folder that is full.
struct Full;

impl RowSink for Full {
    fn write(&mut self, _: u32, _: &Remembered) -> bool {
        false
    }
}

struct Sending {
    ticket: KeyTicket,
    record: Arc<Record>,
    told: JoinHandle<Result<()>>,
}

/// A send of the connection `owner`, just before it would go out; `count` tells it from others.
fn send(keys: &Arc<SendKeys>, owner: u8, count: u32) -> Sending {
    let mut print = [owner; 32];
    print[..4].copy_from_slice(&count.to_be_bytes());
    let key = keys.make(print, count).key;
    let ticket = KeyTicket { owner: [owner; 16], print, key, count };
    let (writing, record) = (keys.sent(&ticket), Record::open(Arc::new(Nobody)));
    let told = record.clone();
    let told = tokio::spawn(async move {
        match writing {
            Some(writing) => writing.over(&told).await,
            None => Ok(()),
        }
    });
    Sending { ticket, record, told }
}

async fn is_refused(send: Sending) {
    let error = send.told.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::Overloaded, Fate::NotSent));
    assert!(error.retry_after.is_some());
    assert_eq!(send.record.read(|marks| marks.shortage), Some(Shortage::Storage));
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_stalls_holds_up_no_other_call_and_a_send_for_a_second_only() {
    let folder = Folder::default();
    let keys = folder.keys();
    let first = send(&keys, 1, 0);
    // Calls can still do all that they do with keys, on this thread.
    let other = send(&keys, 2, 1);
    let waits = keys.make([9; 32], 0);
    assert!(!waits.recognised && keys.octets() > 0);
    tokio::task::yield_now().await;
    assert!(!first.told.is_finished() && !other.told.is_finished(), "nothing goes out unwritten");
    advance(STALL).await;
    let (ticket, since) = (first.ticket, Instant::now());
    is_refused(first).await;
    is_refused(other).await;
    // A call that comes while the folder stalls is told so at once.
    is_refused(send(&keys, 3, 2)).await;
    assert_eq!(since.elapsed(), std::time::Duration::ZERO);
    folder.open();
    while folder.written().len() < 2 {
        tokio::task::yield_now().await;
    }
    // The row that was refused is out of date. Its next call writes it, whatever was written late.
    let again = keys.sent(&ticket).expect("it is not known to be written");
    let record = Record::open(Arc::new(Nobody));
    assert!(again.over(&record).await.is_ok());
    assert!(send(&keys, 1, 7).told.await.unwrap().is_ok());
    assert_eq!(folder.written().last(), Some(&7));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_one_connection_takes_no_room_of_another() {
    let folder = Folder::default();
    let keys = folder.keys();
    let own: Vec<Sending> = (0..300).map(|count| send(&keys, 1, count)).collect();
    let other = send(&keys, 2, 1_000);
    folder.open();
    assert!(other.told.await.unwrap().is_ok());
    // It waits for one row of the other connection, and for the one that was being written.
    let before = folder.written().iter().position(|count| *count == 1_000).unwrap();
    assert!(before <= 2, "{before}");
    let mut refused = 0;
    for send in own {
        refused += usize::from(send.told.await.unwrap().is_err());
    }
    assert!((171..=172).contains(&refused), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_full_refuses_no_send_and_its_row_is_tried_again() {
    let keys = Arc::new(SendKeys::with(Some(JournalWriter::new(Box::new(Full))), Vec::new()));
    let first = send(&keys, 1, 0);
    assert!(first.told.await.unwrap().is_ok());
    assert!(keys.sent(&first.ticket).is_some(), "the next attempt tries again");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_while_its_row_waits_is_not_taken_for_written() {
    let folder = Folder::default();
    let keys = folder.keys();
    let left = send(&keys, 1, 0);
    left.told.abort();
    assert!(left.told.await.unwrap_err().is_cancelled());
    folder.open();
    let again = keys.sent(&left.ticket).expect("its row is written again");
    assert!(again.over(&left.record).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_written_before_the_keys_are_gone() {
    let folder = Folder::default();
    folder.open();
    let keys = folder.keys();
    let sent = send(&keys, 1, 5);
    assert!(sent.told.await.unwrap().is_ok());
    keys.accepted(&sent.ticket);
    drop(keys);
    assert_eq!(folder.written(), [5, 5]);
}

/// What a made key costs on its way to the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures: cargo test --release --lib idempotency::keys -- --ignored --nocapture"]
async fn figures_of_the_journal() {
    const SENDS: u32 = 50_000;
    let folder = std::env::temp_dir().join(format!("tollgate-figures-{}", RandomId::new()));
    std::fs::create_dir_all(&folder).unwrap();
    let per_send = |begun: Instant| begun.elapsed().as_nanos() / u128::from(SENDS);
    let (mut journal, _) = KeyJournal::open(&folder).unwrap();
    let known = Remembered {
        owner: [1; 16],
        print: [2; 32],
        key: RandomId::new(),
        count: 0,
        accepted: false,
        since: Instant::now(),
    };
    let begun = Instant::now();
    assert!((0..SENDS).all(|number| journal.write(number, &known)));
    println!("a row, written: {} ns", per_send(begun));
    drop(journal);
    let keys = Arc::new(SendKeys::open(&folder).unwrap());
    let (mut held, begun) = (std::time::Duration::ZERO, Instant::now());
    for count in 0..SENDS {
        let mut print = [3; 32];
        print[..4].copy_from_slice(&count.to_be_bytes());
        let key = keys.make(print, 0).key;
        let ticket = KeyTicket { owner: [1; 16], print, key, count: 0 };
        let asked = Instant::now();
        let writing = keys.sent(&ticket).unwrap();
        held += asked.elapsed();
        assert!(writing.over(&Record::open(Arc::new(Nobody))).await.is_ok());
        keys.release(&ticket, true);
    }
    println!("a send, one after the other: {} ns", per_send(begun));
    println!("of that on the call's own thread: {} ns", held.as_nanos() / u128::from(SENDS));
}
