//! `tollgate top`: what goes on, live, in the terminal.

mod board;
mod frame;
mod keys;
mod screen;

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::admin::{AdminArgs, AdminClient, Question, asked, tell};
use super::documents::{Seen, SeenOverride};
use super::text::{clean, long};
use super::{failed, overrides, runtime};
use crate::clock::Instant;
use crate::terminal::{complain, say};
use board::{Board, Wish};
use frame::frame;
use keys::{Decoder, KeyPress};
use screen::Screen;

/// Between two questions.
const EACH: Duration = Duration::from_secs(1);
/// If nothing follows Escape for so long, it was a key of its own.
const ESCAPE: Duration = Duration::from_millis(50);

/// The arguments of the command.
#[derive(clap::Args)]
pub(super) struct TopArgs {
    /// Print one picture and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// What is heard of the gateway.
enum News {
    Overview(Result<Seen, String>),
    Done(String),
}

/// Shows the screen until somebody quits.
pub(super) fn run(args: &TopArgs) -> ExitCode {
    if args.admin.json {
        return tell(&args.admin, &overview(), |_: Seen| String::new());
    }
    if args.once {
        return once(&args.admin);
    }
    let client = match AdminClient::new(&args.admin) {
        Ok(client) => client,
        Err(code) => return code,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let Ok(screen) = Screen::take() else {
        complain("this is no terminal: write --once for one picture, or use `tollgate status`");
        return ExitCode::FAILURE;
    };
    let board = Board { at: args.admin.admin.shown().to_owned(), ..Board::default() };
    let watched = runtime.block_on(watch(&client, board, &screen));
    drop(screen);
    watched.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn overview() -> Question {
    Question::get("/api/overview")
}

fn once(args: &AdminArgs) -> ExitCode {
    let body = match asked(args, &overview()) {
        Ok(body) => body,
        Err(code) => return code,
    };
    let seen = match serde_json::from_slice::<Seen>(&body) {
        Ok(seen) => seen,
        Err(error) => return failed(&error),
    };
    let mut board = Board { at: args.admin.shown().to_owned(), ..Board::default() };
    board.hear(Ok(seen));
    let lines = frame(&board, screen::size());
    lines.iter().for_each(|line| say(line.text.trim_end()));
    ExitCode::SUCCESS
}

/// Draws after whatever happens: an answer, a key, another size.
async fn watch(client: &AdminClient, mut board: Board, screen: &Screen) -> std::io::Result<()> {
    let (told, mut news) = mpsc::channel(16);
    tokio::spawn(ask_each_second(client.clone(), told.clone()));
    let (mut typed, mut decoder) = (screen::typed(), Decoder::default());
    let mut resized = signal(SignalKind::window_change())?;
    let mut ended = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let [terminated, interrupted, hung_up] = &mut ended;
    loop {
        screen.draw(&frame(&board, screen::size()))?;
        let pressed = tokio::select! {
            Some(heard) = news.recv() => {
                match heard {
                    News::Overview(answer) => board.hear(answer),
                    News::Done(text) => board.said = text,
                }
                Vec::new()
            }
            octets = typed.recv() => match octets {
                Some(octets) => decoder.push(&octets),
                None => vec![KeyPress::Interrupt],
            },
            () = sleep(ESCAPE), if decoder.is_waiting() => decoder.give_up().into_iter().collect(),
            _ = resized.recv() => Vec::new(),
            _ = terminated.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
        };
        for key in pressed {
            match board.press(key) {
                Some(Wish::Quit) => return Ok(()),
                Some(Wish::Send(question)) => {
                    tokio::spawn(order(client.clone(), question, told.clone()));
                }
                None => {}
            }
        }
    }
}

/// Asks as long as somebody listens.
async fn ask_each_second(client: AdminClient, told: mpsc::Sender<News>) {
    let mut each = interval(EACH);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut good = Instant::now();
    loop {
        each.tick().await;
        let answer = client.ask(&overview()).await;
        let answer = answer.and_then(|body| {
            serde_json::from_slice(&body).map_err(|error| format!("the answer is odd: {error}"))
        });
        let answer = match answer {
            Ok(seen) => {
                good = Instant::now();
                Ok(seen)
            }
            Err(reason) => {
                let ms = u64::try_from(good.elapsed().as_millis()).unwrap_or(u64::MAX);
                Err(format!("nothing new for {}: {reason}", long(ms)))
            }
        };
        if told.send(News::Overview(answer)).await.is_err() {
            return;
        }
    }
}

/// Sends an order, and asks at once what came of it.
async fn order(client: AdminClient, question: Question, told: mpsc::Sender<News>) {
    let said = match client.ask(&question).await {
        Ok(body) => serde_json::from_slice::<SeenOverride>(&body)
            .map_or_else(|_| "done".into(), |made| overrides::line(&made)),
        Err(reason) => clean(&reason),
    };
    let _ = told.send(News::Done(said)).await;
    if let Ok(body) = client.ask(&overview()).await
        && let Ok(seen) = serde_json::from_slice(&body)
    {
        let _ = told.send(News::Overview(Ok(seen))).await;
    }
}
