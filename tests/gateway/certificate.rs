//! The certificate of the data port: when it ends, and what is wrong with its files.

use tollgate::config::Config;

use crate::page::Page;
use crate::rig::Certificate;
use crate::support::{Setup, Stack};

/// A certificate that ends with the first day of `year`.
fn until(year: i32) -> Certificate {
    let certificate = Certificate::new();
    renew(&certificate, year);
    certificate
}

/// Another one in the same files.
fn renew(certificate: &Certificate, year: i32) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(&certificate.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&certificate.key, key.serialize_pem()).unwrap();
}

fn setup(certificate: &Certificate) -> Setup {
    Setup::new(&format!("[server]\n{}", certificate.setting()))
}

async fn ends(stack: &Stack) -> Vec<f64> {
    let name = "tollgate_tls_certificate_expiry_timestamp_seconds";
    let page = Page::of(&stack.state).await;
    page.find(name, &[("listener", "data")]).iter().map(|sample| sample.value).collect()
}

/// What is said of the configuration.
fn problem(setup: &Setup) -> String {
    let problems = Config::parse(&setup.text).err().expect("it is refused").problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_certificate_is_a_metric_that_a_reload_renews() {
    let certificate = until(2070);
    let setup = setup(&certificate);
    let mut stack = Stack::new(&setup);
    assert_eq!(ends(&stack).await, [3_155_760_000.0]);
    renew(&certificate, 2071);
    stack.reload(&setup.text).unwrap();
    assert_eq!(ends(&stack).await, [3_187_296_000.0]);
    stack.reload(&setup.text.replacen(&certificate.setting(), "", 1)).unwrap();
    assert!(ends(&stack).await.is_empty(), "no TLS, no end of it");
}

#[test]
fn the_certificate_that_ends_first_counts() {
    let (own, other) = (until(2072), until(2031));
    let chain = [&own.cert, &other.cert].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&own.cert, chain.concat()).unwrap();
    let config = setup(&own).config();
    let end = config.tls.unwrap().expires().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(end.as_secs(), 1_924_992_000);
}

#[test]
fn a_certificate_that_is_over_is_a_warning() {
    let certificate = until(2020);
    let warnings = setup(&certificate).config().warnings;
    let said = format!("certificate '{}' expired 2020-01-01", certificate.cert.display());
    assert!(warnings.iter().any(|warning| warning.to_string().contains(&said)), "{warnings:?}");
    assert!(
        !setup(&until(2070)).config().warnings.iter().any(|w| w.to_string().contains("expired"))
    );
}

#[test]
fn files_that_are_no_pair_are_told_in_a_sentence_that_holds_nothing_of_them() {
    let (good, other) = (Certificate::new(), Certificate::new());
    let read = |file| std::fs::read_to_string(file).unwrap();
    let (cert, key) = (read(&good.cert), read(&good.key));
    let half = &cert[..cert.len() / 2];
    // Cut, and made to look whole.
    let patched = format!("{}\n-----END CERTIFICATE-----\n", half.rsplit_once('\n').unwrap().0);
    let label = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let older =
        key.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1);
    let cases = [
        (half, key.as_str(), "ends in the middle"),
        (&patched, &key, "holds something that is no certificate"),
        (&key, &key, "holds no certificate in PEM form"),
        (&cert, &read(&other.key), "is not that of the first certificate in"),
        (&cert, &label, "is encrypted, and nobody is there to give its password"),
        (&cert, &older, "is encrypted, and nobody is there to give its password"),
        (&cert, &key[..key.len() / 2], "ends in the middle"),
        (&cert, &cert, "holds no private key in PEM form"),
    ];
    let inside = [&cert, &key].map(|pem| pem.lines().nth(1).unwrap()[..16].to_owned());
    for (cert, key, sentence) in cases {
        std::fs::write(&good.cert, cert).unwrap();
        std::fs::write(&good.key, key).unwrap();
        let said = problem(&setup(&good));
        assert!(said.contains(sentence), "{sentence}: {said}");
        assert!(inside.iter().all(|part| !said.contains(part)), "{said}");
    }
}
