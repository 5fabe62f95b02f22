//! The page of errors for people is made from the table.

use tollgate::error;

#[test]
fn the_page_of_errors_says_what_the_table_says() {
    let (path, text) = ("docs/errors.md", error::reference());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).expect("the page can be written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{path} is not what the code says: run the test once with UPDATE=1");
}
