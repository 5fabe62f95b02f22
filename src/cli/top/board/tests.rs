use super::*;
use crate::cli::documents::{SeenOverride, SeenRates};

fn app(name: &str, waiting: u64, held: u64) -> SeenApp {
    SeenApp { tenant: "t".into(), app: name.into(), waiting, held, ..SeenApp::default() }
}

fn connection(name: &str, bulk: u64, rate: f64, in_use: u64) -> SeenConnection {
    let mut it = SeenConnection {
        connection: name.into(),
        rates: SeenRates { started: rate, ..SeenRates::default() },
        apps: vec![app("x", bulk, 1), app("y", 0, 2)],
        ..SeenConnection::default()
    };
    (it.waiting.bulk, it.slots.in_use) = (bulk, in_use);
    it
}

fn board() -> Board {
    let connections =
        vec![connection("a", 1, 2.0, 3), connection("b", 5, 1.0, 1), connection("c", 0, 9.5, 2)];
    let mut board = Board::default();
    board.hear(Ok(Seen { connections, ..Seen::default() }));
    board
}

fn names(board: &Board) -> String {
    board.sorted().iter().map(|(it, _)| it.connection.as_str()).collect()
}

fn press(board: &mut Board, keys: &str) -> Option<Wish> {
    keys.chars().fold(None, |_, c| match c {
        '\r' => board.press(KeyPress::Enter),
        '↓' => board.press(KeyPress::Down),
        '↑' => board.press(KeyPress::Up),
        '⌫' => board.press(KeyPress::Backspace),
        '⎋' => board.press(KeyPress::Escape),
        c => board.press(KeyPress::Char(c)),
    })
}

#[test]
fn connections_are_sorted_by_what_was_asked_for() {
    let mut board = board();
    assert_eq!(names(&board), "bac");
    press(&mut board, "r");
    assert_eq!(names(&board), "cab");
    press(&mut board, "s");
    assert_eq!(names(&board), "acb");
    press(&mut board, "w");
    assert_eq!(names(&board), "bac");
}

#[test]
fn what_is_selected_stays_selected_wherever_it_goes() {
    let mut board = board();
    let selected = |board: &Board| {
        let it = board.selected.as_ref().unwrap();
        format!("{}{}", it.connection, it.app)
    };
    assert_eq!(selected(&board), "bx");
    press(&mut board, "↓↓");
    assert_eq!(selected(&board), "ax");
    press(&mut board, "r");
    board.hear(Err("no answer".into()));
    assert_eq!(selected(&board), "ax");
    press(&mut board, "↑↑↑↑↑");
    assert_eq!(selected(&board), "cy");
    press(&mut board, "↓↓↓↓↓↓↓↓↓↓");
    assert_eq!(selected(&board), "bx");
    board.hear(Ok(Seen::default()));
    assert!(board.selected.is_none());
    assert!(press(&mut board, "↓p").is_none() && board.entry.is_none());
}

#[test]
fn a_pause_asks_for_its_time_and_its_reason() {
    let mut board = board();
    assert!(press(&mut board, "p⌫\r").is_none());
    assert!(board.said.contains("is no time of a change"), "{}", board.said);
    assert!(press(&mut board, "m\r\r").is_none());
    assert!(board.said.contains("a reason has"), "{}", board.said);
    let Some(Wish::Send(question)) = press(&mut board, "quiet\r") else { panic!("no order") };
    let act = json!({ "kind": "pause-app", "tenant": "t", "app": "x" });
    let document = json!({ "act": act, "for_ms": 600_000, "because": "quiet" });
    assert_eq!(question.parts(), ("POST", "/api/overrides", Some(&document)));
    assert!(press(&mut board, "p⎋").is_none() && board.entry.is_none());
    assert!(press(&mut board, "pq").is_none(), "q is a letter there");
    assert!(matches!(board.press(KeyPress::Interrupt), Some(Wish::Quit)));
}

#[test]
fn the_newest_change_of_the_selected_app_is_ended() {
    let mut board = board();
    assert!(press(&mut board, "e").is_none());
    assert_eq!(board.said, "nothing of t/x is overridden");
    let of = |id: &str, app: &str| SeenOverride {
        id: id.into(),
        act: json!({ "kind": "pause-app", "tenant": "t", "app": app }),
        ..SeenOverride::default()
    };
    board.seen.as_mut().unwrap().overrides = vec![of("n1", "y"), of("n2", "x"), of("n3", "x")];
    let Some(Wish::Send(question)) = press(&mut board, "e") else { panic!("no order") };
    assert_eq!(question.parts(), ("DELETE", "/api/overrides/n2", None));
}

#[test]
fn help_ends_with_any_key_and_does_nothing_else() {
    let mut board = board();
    assert!(press(&mut board, "?").is_none() && board.help);
    assert!(press(&mut board, "q").is_none() && !board.help);
    assert!(matches!(press(&mut board, "q"), Some(Wish::Quit)));
}
