//! Users and passwords.

use crate::commands::at;
use crate::rig::Rig;
use crate::servers::{Folder, Server};

/// A Redis with no default user, and one user who may use the keys of the gateway only.
fn guarded() -> Server {
    Server::redis(
        "user default off\nuser tollgate on >hunter2 ~tg:* &tg:* +@all -@admin -@dangerous +ping",
    )
}

fn login(server: &Server, folder: &Folder, password: &str) -> String {
    let file = folder.write("password", password);
    format!("{}\nuser = \"tollgate\"\npassword = {{ file = '{}' }}", at(server), file.display())
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_user_of_redis_with_few_rights_is_enough() {
    let (server, folder) = (guarded(), Folder::new());
    let rig = Rig::connected(&login(&server, &folder, "hunter2\n")).await;
    assert_eq!(rig.store.get(&rig.store.key("0", "a")).await, Ok(None));
    assert!(!rig.log().contains("hunter2"), "{}", rig.log());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_wrong_password_is_a_clear_state_and_no_secret_in_the_log() {
    let (server, folder) = (guarded(), Folder::new());
    let rig = Rig::new(&login(&server, &folder, "swordfish"));
    let cause = rig.goes().await;
    assert!(cause.starts_with("WRONGPASS: shared.user and shared.password"), "{cause}");
    assert_eq!(rig.said("the shared store is away"), 1);
    let told = format!("{}{:?}", rig.log(), rig.store.status());
    assert!(!told.contains("swordfish") && !told.contains("hunter2"), "{told}");
    // The right one is used as soon as it is there.
    folder.write("password", "hunter2");
    rig.comes().await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_missing_password_and_missing_rights_are_told() {
    let (server, folder) = (guarded(), Folder::new());
    let cause = Rig::new(&at(&server)).goes().await;
    assert!(cause.starts_with("NOAUTH: it wants a password"), "{cause}");
    let rig = Rig::new(&format!("{}\nprefix = \"other\"", login(&server, &folder, "hunter2")));
    let cause = rig.goes().await;
    assert!(cause.starts_with("NOPERM: the user may not do this"), "{cause}");
}
