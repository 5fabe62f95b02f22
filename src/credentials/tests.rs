//! The layer on a clock that stands still, with tokens in files.

mod answers;
mod replaced;

use std::path::PathBuf;
use std::sync::Mutex;

use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use tower::{Layer, Service};

use super::book::TokenPage;
use super::*;
use crate::call::Attempt;
use crate::call::testing::{self, Leaf, now, reply, text};
use crate::clock::Instant;
use crate::ids::RandomId;
use crate::secret::TokenSource;

/// Courier's way to say that a token is no good.
const REFUSED: &str = r#"{"type":"authentication_error","message":"no such key"}"#;

struct World {
    layer: Staged<Credentials, Leaf<AuthorizedCall>>,
    /// What was sent as `Authorization`.
    sent: Arc<Mutex<Vec<HeaderValue>>>,
    book: TokenBook,
    folder: Folder,
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-tokens-{}", RandomId::new()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two connections with the tokens `pk_prod_first` and `pk_prod_other`, whose vendor answers a call
/// that came with this token in this way.
fn world(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> World {
    let (folder, book) = (Folder::new(), TokenBook::default());
    let initial = [("acme-prod", "pk_prod_first"), ("acme-test", "pk_prod_other")];
    let tokens = initial.map(|(name, token)| {
        let path = folder.0.join(name);
        std::fs::write(&path, token).unwrap();
        let token = VendorToken::parse(token).unwrap();
        InitialToken {
            connection: name.parse().unwrap(),
            source: TokenSource::File(path),
            token,
            unreadable: false,
        }
    });
    let tokens = tokens.into_iter().collect();
    let (cache, admission) = (Cache::new(1000), Admission::new(None));
    let sent: Arc<Mutex<Vec<HeaderValue>>> = Arc::default();
    let hears = sent.clone();
    let vendor = Leaf::new(move |call: AuthorizedCall, _| {
        let field = call.authorization.clone();
        let result = Ok(answer(field.to_str().unwrap().strip_prefix("Bearer ").unwrap()));
        hears.lock().unwrap().push(field);
        now(result)
    });
    let layer = Credentials::layer(tokens, cache, admission, book.clone()).layer(vendor);
    World { layer, sent, book, folder }
}

impl World {
    /// The answer to a call, and what its record says of the token.
    async fn ask(&self) -> (Reply, Option<TokenNews>) {
        self.on(0).await
    }

    async fn on(&self, connection: usize) -> (Reply, Option<TokenNews>) {
        let mut call = testing::buffered(Method::GET, "/brands");
        call.caller.ix = connection.into();
        let record = call.record.clone();
        let admitted = Attempt::first(Arc::new(call)).admitted(Instant::now());
        let answer = self.layer.clone().call(admitted).await.unwrap();
        (answer, record.read(|marks| marks.token))
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|field| field.to_str().unwrap().to_owned()).collect()
    }

    /// The page of the first connection.
    fn page(&self) -> TokenPage {
        self.book.pages().remove(0).1
    }

    fn file(&self) -> PathBuf {
        self.folder.0.join("acme-prod")
    }

    /// Puts another token into the file of the first connection.
    fn replace(&self, token: &str) {
        std::fs::write(self.file(), token).unwrap();
    }
}
