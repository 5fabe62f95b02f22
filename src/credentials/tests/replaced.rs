//! Another token in the file.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

/// Within this a new token in a file is used.
const PROMISED: Duration = Duration::from_secs(2);

/// A vendor that takes these tokens only.
fn taking<const N: usize>(good: [&'static str; N]) -> World {
    world(move |token| if good.contains(&token) { reply(200, "it") } else { reply(401, "") })
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_by_the_one_in_its_file_at_once() {
    let world = taking(["pk_prod_next"]);
    world.replace("Bearer pk_prod_next\n");
    let (answer, news) = world.ask().await;
    assert_eq!(answer.facts().rejected, Some(Rejected { changed: true }));
    assert_eq!(news, Some(TokenNews::Replaced));
    let (answer, news) = world.ask().await;
    assert_eq!((answer.status(), news), (StatusCode::OK, None));
    assert_eq!(world.sent(), ["Bearer pk_prod_first", "Bearer pk_prod_next"]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_refused_together_find_one_successor() {
    let world = taking(["pk_prod_next"]);
    world.replace("pk_prod_next");
    let (one, other) = tokio::join!(world.ask(), world.ask());
    for (answer, _) in [&one, &other] {
        assert_eq!(answer.facts().rejected, Some(Rejected { changed: true }));
    }
    assert_eq!((one.1, other.1), (Some(TokenNews::Replaced), None));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_in_the_file_is_used_before_the_old_one_is_refused() {
    let world = taking(["pk_prod_first", "pk_prod_next"]);
    world.ask().await;
    sleep(PROMISED).await;
    world.replace("pk_prod_next");
    sleep(PROMISED).await;
    world.ask().await;
    assert_eq!(world.sent(), ["Bearer pk_prod_first", "Bearer pk_prod_next"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_is_refused_before_it_was_ever_taken_gives_way_to_the_one_before() {
    let world = taking(["pk_prod_first"]);
    world.ask().await;
    world.replace("pk_prod_wrong");
    sleep(PROMISED).await;
    let (answer, news) = world.ask().await;
    assert_eq!(answer.facts().rejected, Some(Rejected { changed: true }));
    assert_eq!(news, None);
    assert!(world.page().given_up, "operators are told");
    assert_eq!(world.ask().await.0.status(), StatusCode::OK);
    let sent = ["pk_prod_first", "pk_prod_wrong", "pk_prod_first"];
    assert_eq!(world.sent(), sent.map(|token| format!("Bearer {token}")));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_was_taken_once_gives_way_to_none() {
    let good = Arc::new(Mutex::new("pk_prod_first"));
    let takes = good.clone();
    let world =
        world(move |token| reply(if token == *takes.lock().unwrap() { 200 } else { 401 }, ""));
    world.ask().await;
    world.replace("pk_prod_next");
    *good.lock().unwrap() = "pk_prod_next";
    sleep(PROMISED).await;
    assert_eq!(world.ask().await.0.status(), StatusCode::OK);
    *good.lock().unwrap() = "pk_prod_first";
    let (answer, news) = world.ask().await;
    assert_eq!(answer.facts().rejected, Some(Rejected { changed: false }));
    assert_eq!(news, Some(TokenNews::Refused));
}

#[tokio::test(start_paused = true)]
async fn another_connections_token_is_not_used() {
    let world = taking(["pk_prod_other"]);
    world.replace("pk_prod_other");
    assert_eq!(world.ask().await.0.facts().rejected, Some(Rejected { changed: false }));
    sleep(PROMISED).await;
    world.ask().await;
    assert_eq!(world.sent(), ["Bearer pk_prod_first"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_holds_no_token_changes_nothing() {
    let world = taking(["pk_prod_first"]);
    for text in ["", "two words"] {
        world.replace(text);
        sleep(PROMISED).await;
        assert_eq!(world.ask().await.0.status(), StatusCode::OK);
    }
    std::fs::remove_file(world.file()).unwrap();
    sleep(PROMISED).await;
    assert_eq!(world.ask().await.0.status(), StatusCode::OK);
    assert_eq!(world.sent(), ["Bearer pk_prod_first"; 3]);
}

/// As a kubelet does it: the file is a link through `..data`, which is renamed over.
#[tokio::test(start_paused = true)]
async fn a_token_behind_links_that_are_swapped_is_found() {
    let world = taking(["pk_prod_first", "pk_prod_next"]);
    let folder = world.file().parent().unwrap().to_path_buf();
    let version = |name: &str, token: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("acme-prod"), token).unwrap();
        std::os::unix::fs::symlink(name, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    version("..1", "pk_prod_first");
    std::fs::remove_file(world.file()).unwrap();
    std::os::unix::fs::symlink("..data/acme-prod", world.file()).unwrap();
    sleep(PROMISED).await;
    world.ask().await;
    version("..2", "pk_prod_next");
    std::fs::remove_dir_all(folder.join("..1")).unwrap();
    sleep(PROMISED).await;
    world.ask().await;
    assert_eq!(world.sent(), ["Bearer pk_prod_first", "Bearer pk_prod_next"]);
    assert_eq!(world.page().state(), TokenState::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_holds_no_token_is_told_until_it_holds_one() {
    let world = taking(["pk_prod_first", "pk_prod_next"]);
    sleep(PROMISED).await;
    assert_eq!((world.page().state(), world.page().changed_at), (TokenState::Ok, None));
    for text in ["", "two words", "pk_prod_other"] {
        world.replace(text);
        sleep(PROMISED).await;
        assert_eq!(world.page().state(), TokenState::Unreadable, "{text}");
        assert_eq!(world.ask().await.0.status(), StatusCode::OK);
        world.replace("pk_prod_first");
        sleep(PROMISED).await;
        assert_eq!(world.page().state(), TokenState::Ok, "{text}");
    }
    std::fs::remove_file(world.file()).unwrap();
    sleep(PROMISED).await;
    assert_eq!(world.page().state(), TokenState::Unreadable, "it is not there");
    assert_eq!(world.page().changed_at, None);
    world.replace("pk_prod_next");
    sleep(PROMISED).await;
    assert_eq!(world.page().state(), TokenState::Ok);
    assert!(world.page().changed_at.is_some());
    world.ask().await;
    assert_eq!(world.sent().last().unwrap(), "Bearer pk_prod_next");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_told_until_one_is_taken() {
    let world = taking(["pk_prod_next"]);
    world.ask().await;
    assert_eq!(world.page().state(), TokenState::Refused);
    world.replace("pk_prod_next");
    sleep(PROMISED).await;
    world.ask().await;
    assert_eq!(world.page().state(), TokenState::Ok);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_configuration_finds_out_counts_no_more() {
    let (world, later) = (taking([]), taking([]));
    let tokens = later.book.known();
    let again = tokens.into_iter().map(|(connection, (source, token))| InitialToken {
        connection,
        source,
        token,
        unreadable: false,
    });
    world.book.begin(again.collect::<Vec<_>>().iter());
    world.ask().await;
    assert_eq!(world.page().state(), TokenState::Ok);
}
