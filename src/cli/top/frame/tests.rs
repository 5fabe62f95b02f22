use proptest::prelude::*;

use super::*;
use crate::cli::documents::{SeenCall, SeenOverride, SeenSlots};
use crate::cli::top::board::{Order, Selected};

fn app(name: &str, waiting: u64) -> SeenApp {
    SeenApp {
        tenant: "acme".into(),
        app: name.into(),
        lane: "bulk".into(),
        waiting,
        wait_ms: Some(12_000),
        ..SeenApp::default()
    }
}

fn connection(name: &str, apps: Vec<SeenApp>) -> SeenConnection {
    SeenConnection {
        connection: name.into(),
        words: "bulk waits 12 s".into(),
        slots: SeenSlots { limit: 100, in_use: 3, resting: 80, free: 17, ..SeenSlots::default() },
        apps,
        ..SeenConnection::default()
    }
}

fn texts(board: &Board, columns: usize, lines: usize) -> Vec<String> {
    frame(board, TermSize { columns, lines }).into_iter().map(|line| line.text).collect()
}

#[test]
fn a_usual_terminal_shows_all_columns_and_a_narrow_one_the_first() {
    let mut board = Board { at: "127.0.0.1:9091".into(), ..Board::default() };
    let connections = vec![connection("acme-prod", vec![app("billing", 12)])];
    board.hear(Ok(Seen { connections, ..Seen::default() }));
    let wide = texts(&board, 80, 24);
    assert_eq!(wide.len(), 24);
    for (at, part) in [
        (1, "1 connections         slots             used  waiting  calls/s  saved/s  refused"),
        (2, "acme-prod             █▒▒▒▒▒▒▒▒▒·     83/100"),
        (3, "  bulk waits 12 s"),
        (4, "> acme/billing        bulk                 0       12     12 s"),
        (23, "q quit  w r s sort"),
    ] {
        assert!(wide[at].starts_with(part), "{part}\n{}", wide.join("\n"));
    }
    let narrow = texts(&board, 40, 10);
    assert!(narrow[2].starts_with("acme-prod         █▒▒▒▒▒▒▒▒▒·"), "{}", narrow.join("\n"));
    assert!(!narrow[1].contains("waiting"));
}

#[test]
fn a_pause_is_typed_in_the_last_line() {
    let mut board = Board::default();
    board.hear(Ok(Seen {
        connections: vec![connection("c", vec![app("billing", 1)])],
        ..Seen::default()
    }));
    board.press(crate::cli::top::keys::KeyPress::Char('p'));
    let last = texts(&board, 80, 24).pop().unwrap();
    assert_eq!(last, "pause acme/billing for: 10m_");
}

prop_compose! {
    fn boards()(
        names in proptest::collection::vec(("\\PC{0,40}", proptest::collection::vec("\\PC{0,20}", 0..6)), 0..8),
        words in ".{0,60}", typed in "\\PC{0,60}", kind in 0_u8..4, pick in any::<proptest::sample::Index>(),
        numbers in any::<[u32; 4]>(),
    ) -> Board {
        let [in_use, resting, limit, waiting] = numbers.map(u64::from);
        let mut connections: Vec<SeenConnection> = names.iter().map(|(name, apps)| {
            connection(name, apps.iter().map(|name| app(name, waiting)).collect())
        }).collect();
        for it in &mut connections {
            it.words.clone_from(&words);
            it.slots = SeenSlots { limit, in_use, resting, ..SeenSlots::default() };
        }
        let overrides = vec![SeenOverride { words: words.clone(), ..SeenOverride::default() }; 2];
        let slowest = vec![SeenCall { app: words.clone(), total_ms: 1e9, ..SeenCall::default() }; 5];
        let mut board = Board { at: words.clone(), order: Order::Slots, ..Board::default() };
        board.hear(Ok(Seen { connections, overrides, slowest, ..Seen::default() }));
        let all: Vec<Selected> = board.sorted().iter().flat_map(|(it, apps)| apps.iter().map(|app| Selected {
            connection: it.connection.clone(), tenant: app.tenant.clone(), app: app.app.clone(),
        }).collect::<Vec<_>>()).collect();
        if !all.is_empty() {
            board.selected = Some(all[pick.index(all.len())].clone());
        }
        match (kind, board.selected.clone()) {
            (1, Some(of)) => board.entry = Some(Prompt { of, lasts: None, text: typed }),
            (2, _) => board.trouble = Some(typed),
            (3, _) => board.said = typed,
            _ => {}
        }
        board
    }
}

proptest! {
    #[test]
    fn no_picture_is_larger_than_the_terminal(
        board in boards(), columns in 0_usize..120, lines in 0_usize..50, help in any::<bool>()
    ) {
        let board = Board { help, ..board };
        let texts = texts(&board, columns, lines);
        prop_assert_eq!(texts.len(), lines);
        for text in texts {
            prop_assert!(width(&text) <= columns, "{} columns: {text:?}", width(&text));
            prop_assert!(!text.contains(char::is_control));
        }
    }

    #[test]
    fn the_selected_app_is_always_seen(board in boards(), lines in 5_usize..50) {
        let looks = frame(&board, TermSize { columns: 80, lines });
        let seen = looks.iter().any(|line| line.look == LineLook::Selected);
        prop_assert_eq!(seen, board.selected.is_some());
    }
}
