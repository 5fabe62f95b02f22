//! Keys that end soon, and who is told.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tollgate::clock;

use crate::support::{Setup, Stack};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines since the last look that tell of an end.
    fn news(&self) -> Vec<String> {
        let octets = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(octets).unwrap();
        text.lines().filter(|line| line.contains("expire")).map(str::to_owned).collect()
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The configuration, where the key of `acme` expires then.
fn ending(setup: &Setup, at: SystemTime) -> String {
    let end = format!("\", expires = \"{}\" }}]\nscopes", clock::rfc3339(at));
    let text = setup.text.replacen("\" }]\nscopes", &end, 1);
    assert_ne!(text, setup.text);
    text
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_before_it_comes_and_when_it_has_come_and_once_each() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _heard = tracing::subscriber::set_default(subscriber);
    let setup = Setup::new("");
    let text = ending(&setup, clock::wall() + 8 * DAY);
    let mut stack = Stack::of_text(&text, simulator::Server::new(Default::default())).unwrap();
    sleep(Duration::from_millis(1)).await;
    let news = log.news();
    assert_eq!(news.len(), 1, "{news:#?}");
    assert!(news[0].contains("it expires soon"), "{news:#?}");
    assert!(news[0].contains("key 'acme' of acme/acme") && news[0].contains("days_left=7"));
    for _ in 0..3 {
        stack.reload(&text).unwrap();
    }
    assert_eq!(log.news(), [""; 0], "a reload repeats nothing");
    // An end that a reload brings is told at once, and then at its moments, without a reload.
    stack.reload(&ending(&setup, clock::wall() + DAY + Duration::from_secs(1800))).unwrap();
    assert_eq!(log.news().len(), 1);
    sleep(Duration::from_secs(3 * 3600)).await;
    let news = log.news();
    assert!(news.len() == 1 && news[0].contains("days_left=0"), "{news:#?}");
    sleep(DAY).await;
    let news = log.news();
    assert!(news.len() == 1 && news[0].contains("it has expired"), "{news:#?}");
}
