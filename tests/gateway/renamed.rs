//! Slots of connections that go by other names or tokens after a restart.

use std::path::Path;
use std::time::Duration;

use tokio::time::advance;

use crate::restart::{CONNECTION, folder, room, setup, with_connection};
use crate::support::{Setup, Stack, token};

/// `setup` with another name for `acme`'s connection.
fn named(setup: &Setup, name: &str) -> Setup {
    with_connection(setup, CONNECTION, &format!("[[tenant.connection]]\nid = \"{name}\"\n"))
}

/// The file of `acme`'s token.
fn token_file(setup: &Setup) -> &str {
    setup.text.split("file = '").nth(1).unwrap().split('\'').next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn slots_are_found_again_after_a_restart_under_any_name() {
    let long = "x".repeat(64);
    let renamed =
        format!("[[tenant.connection]]\nid = \"{long}\"\nworkspace = \"{}\"\n", "w".repeat(64));
    for (from, to) in [
        (CONNECTION, "[[tenant.connection]]\nid = \"acme-prod\"\nworkspace = \"w\"\n"),
        (CONNECTION, "[[tenant.connection]]\nid = \"renamed\"\n"),
        ("[[tenant]]\nid = \"acme\"\n", "[[tenant]]\nid = \"other\"\n"),
        (CONNECTION, renamed.as_str()),
    ] {
        let dir = folder();
        let before = setup(&dir);
        let after = with_connection(&before, from, to);
        for (first, second) in [(&before, &after), (&after, &before)] {
            let stack = Stack::new(first);
            assert_eq!(room(&stack, first).await, 3);
            drop(stack);
            let stack = Stack::new(second);
            assert_eq!(room(&stack, second).await, 0, "{to}");
            advance(Duration::from_secs(11)).await;
            assert_eq!(room(&stack, second).await, 3, "{to}");
            advance(Duration::from_secs(11)).await;
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_replaced_before_a_restart_keeps_the_slots_of_its_connection() {
    let dir = folder();
    let setup = setup(&dir);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
    let file = setup.text.split("file = '").nth(1).unwrap().split('\'').next().unwrap();
    std::fs::write(file, "token-next").unwrap();
    assert_eq!(room(&Stack::new(&setup), &setup).await, 0);
    // The one before is of the same connection.
    std::fs::write(file, token("acme")).unwrap();
    let renamed = with_connection(&setup, CONNECTION, "[[tenant.connection]]\nid = \"renamed\"\n");
    assert_eq!(room(&Stack::new(&renamed), &renamed).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_away_for_a_restart_comes_back_with_its_slots_and_leaves_no_file_later()
 {
    let dir = folder();
    let setup = setup(&dir);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
    let at = setup.text.find("[[tenant]]\nid = \"umbrella\"").unwrap();
    let begin = setup.text.find("[[tenant]]").unwrap();
    let text = format!("{}{}", &setup.text[..begin], &setup.text[at..]);
    let without = Setup { text, acme: String::new(), umbrella: setup.umbrella.clone() };
    drop(Stack::new(&without));
    let files = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|e| e == "slots")).count()
    };
    let (each, index) = (5, dir.join("slots.index"));
    assert!(std::fs::read_to_string(&index).unwrap().contains("acme-prod"));
    let mut stack = Stack::new(&without);
    stack.reload(&setup.text).unwrap();
    assert_eq!(room(&stack, &setup).await, 0, "a reload finds them, too");
    drop(stack);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 0);
    drop(Stack::new(&without));
    advance(Duration::from_secs(11)).await;
    drop(Stack::new(&without));
    let left = std::fs::read_to_string(&index).unwrap();
    assert!(!left.contains("acme-prod"), "{left}");
    assert_eq!(files(&dir), each, "a connection's own and those of four named pools");
}

#[tokio::test(start_paused = true)]
async fn a_token_and_a_name_that_are_others_after_a_restart_keep_the_slots_of_their_place() {
    let dir = folder();
    let setup = setup(&dir);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
    std::fs::write(token_file(&setup), "token-next").unwrap();
    let second = named(&setup, "second");
    assert_eq!(room(&Stack::new(&second), &second).await, 0);
    // Once more, and then back at the first token.
    std::fs::write(token_file(&setup), "token-last").unwrap();
    let third = named(&setup, "third");
    assert_eq!(room(&Stack::new(&third), &third).await, 0);
    std::fs::write(token_file(&setup), token("acme")).unwrap();
    let fourth = named(&setup, "fourth");
    let stack = Stack::new(&fourth);
    assert_eq!(room(&stack, &fourth).await, 0);
    advance(Duration::from_secs(11)).await;
    assert_eq!(room(&stack, &fourth).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_a_reload_and_its_index_forgets_no_slot() {
    let dir = folder();
    let setup = setup(&dir);
    let mut stack = Stack::new(&setup);
    assert_eq!(room(&stack, &setup).await, 3);
    let index = dir.join("slots.index");
    let before = std::fs::read(&index).unwrap();
    std::fs::write(token_file(&setup), "token-next").unwrap();
    let renamed = named(&setup, "renamed");
    stack.reload(&renamed.text).unwrap();
    drop(stack);
    std::fs::write(&index, before).unwrap();
    assert_eq!(room(&Stack::new(&renamed), &renamed).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_moves_to_another_connection_takes_its_slots_along_and_leaves_their_rests() {
    let dir = folder();
    let setup = setup(&dir);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
    let others = setup.text.rsplit("file = '").next().unwrap().split('\'').next().unwrap();
    std::fs::write(others, token("acme")).unwrap();
    std::fs::write(token_file(&setup), "token-next").unwrap();
    let renamed = named(&setup, "renamed");
    let umbrella = Setup { acme: setup.umbrella.clone(), ..named(&setup, "renamed") };
    let stack = Stack::new(&renamed);
    assert_eq!(room(&stack, &umbrella).await, 0, "the token is umbrella's now");
    assert_eq!(room(&stack, &renamed).await, 0, "as over a reload");
    advance(Duration::from_secs(11)).await;
    assert_eq!(room(&stack, &umbrella).await, 3);
    assert_eq!(room(&stack, &renamed).await, 3);
}
