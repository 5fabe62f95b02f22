//! A fleet: gateways with what they share, before one vendor.

use std::net::SocketAddr;
use std::path::PathBuf;

use simulator::Latency;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::clients::Caller;
use crate::clock::Clock;
use crate::form::{CALLS, Form};
use crate::gateway::Gateway;
use crate::servers::Folder;
use crate::store::{Sharing, Store};
use crate::vendor::{TOKEN, Vendor};

/// Gateways of each fleet.
pub const GATEWAYS: usize = 3;

/// What a fleet is made of.
pub struct Plan<'a> {
    pub form: Form,
    pub sharing: Sharing,
    pub answers: Latency,
    /// Whether wall clocks will be set.
    pub clocks: bool,
    /// Apps, by name and lane.
    pub apps: &'a [(&'a str, &'a str)],
}

pub struct Fleet {
    pub seats: Vec<Seat>,
    pub store: Store,
    pub vendor: Vendor,
    keys: Vec<String>,
}

/// The place of a gateway, which may be started several times.
pub struct Seat {
    pub gateway: Option<Gateway>,
    /// Where clients find it, while it may be called.
    pub address: watch::Sender<Option<SocketAddr>>,
    pub clock: Clock,
    environment: Vec<(&'static str, PathBuf)>,
    folder: Folder,
    /// Its configuration when it is started again, and as it was started.
    text: String,
    pub started: String,
}

impl Fleet {
    /// Starts all of it, and waits until each gateway can serve.
    pub async fn start(plan: &Plan<'_>) -> Self {
        let form = plan.form;
        let vendor = Vendor::start(form.window, plan.answers).await;
        let store = Store::start(plan.sharing, GATEWAYS).await;
        let mut keys = Vec::new();
        let mut apps = String::new();
        for (name, lane) in plan.apps {
            let key = NewKey::generate(&KeyId::try_from((*name).to_owned()).unwrap());
            apps += &format!(
                "[[tenant.app]]\nid = \"{name}\"\nlane = \"{lane}\"\nkeys = [{{ id = \"{name}\", sha256 = \"{}\" }}]\n",
                key.sha256
            );
            keys.push(key.text);
        }
        let seat = |index| {
            let shared = store.settings(index, &form);
            Seat::new(index, plan, &format!("{shared}{}", tenant(&vendor, &form)), &apps)
        };
        let seats = (0..GATEWAYS).map(seat).collect();
        let mut fleet = Self { seats, store, vendor, keys };
        for seat in &mut fleet.seats {
            seat.start_fresh();
        }
        for seat in &fleet.seats {
            seat.ready().await;
        }
        fleet
    }

    /// A client of the gateway `seat`, by the key of the app `app`.
    pub fn caller(&self, seat: usize, app: usize) -> Caller {
        Caller::new(app, self.keys[app].clone(), self.seats[seat].address.subscribe())
    }
}

/// The tables of the vendor and of the quota.
fn tenant(vendor: &Vendor, form: &Form) -> String {
    let [window, limit, grace] =
        [form.window, form.hard_limit, form.hard_limit * 2].map(|span| span.as_millis());
    format!(
        "[vendor]\nbase_url = \"http://{}\"\nhard_limit = \"{limit}ms\"\nfirst_byte = \"{limit}ms\"\nconnect = \"1s\"\n\
         [quota]\ncalls = {CALLS}\nwindow = \"{window}ms\"\n\
         [ops]\nlisten = \"127.0.0.1:0\"\n\
         [logs]\nlevels = {{ access = \"error\" }}\n\
         [server]\nlisten = \"127.0.0.1:0\"\ndrain_delay = \"0s\"\ngrace = \"{grace}ms\"\n",
        vendor.address
    )
}

impl Seat {
    fn new(index: usize, plan: &Plan, tables: &str, apps: &str) -> Self {
        let folder = Folder::new();
        let token = folder.write("token", TOKEN);
        let own = if plan.sharing == Sharing::Shares {
            let dir = folder.0.join("state");
            format!(
                "[quota.static_share]\nreplicas = {GATEWAYS}\nindex = {index}\n[state]\ndir = '{}'\n",
                dir.display()
            )
        } else {
            "[state]\n".to_owned()
        };
        let text = format!(
            "{tables}{own}#STATE\n[[tenant]]\nid = \"acme\"\n[[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n{apps}",
            token.display()
        );
        let clock = Clock::new();
        let environment = if plan.clocks { clock.environment() } else { Vec::new() };
        Self {
            gateway: None,
            address: watch::Sender::new(None),
            clock,
            environment,
            folder,
            started: String::new(),
            text,
        }
    }

    /// Starts it as the first of all: nobody called before.
    fn start_fresh(&mut self) {
        let text = self.text.replace("#STATE", "assume = \"fresh\"");
        self.launch(text);
    }

    /// Starts it again.
    pub fn start(&mut self) {
        self.launch(self.text.clone());
    }

    fn launch(&mut self, text: String) {
        let file = self.configure(&text);
        self.started = text;
        let gateway = block_in_place(|| Gateway::start(file, &self.environment));
        self.address.send_replace(Some(gateway.data));
        self.gateway = Some(gateway);
    }

    /// Writes its configuration.
    pub fn configure(&self, text: &str) -> PathBuf {
        self.folder.write("tollgate.toml", text)
    }

    /// Takes the gateway out; clients do not find it any more.
    pub fn take(&mut self) -> Gateway {
        self.address.send_replace(None);
        self.gateway.take().expect("it runs")
    }

    async fn ready(&self) {
        let ops = self.gateway.as_ref().expect("it runs").ops;
        while !crate::clients::ready(ops).await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
