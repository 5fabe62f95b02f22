//! The raw request target. It is decoded only after a row was found.

/// The decoded query, in the order sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`. A plus is a space here. Broken percent-encoding stays as it is.
    pub(crate) fn parse(raw: &str) -> Self {
        let pair = |p: &str| {
            let (name, value) = p.split_once('=').unwrap_or((p, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Self(raw.split('&').filter(|p| !p.is_empty()).map(pair).collect())
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of `name`. Lists are split at commas, because the SDKs join arrays by commas.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .flat_map(|(_, v)| v.split(','))
            .filter(|v| !v.is_empty())
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }
}

/// Splits a target at the first question mark.
pub(crate) fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// Decodes `%XX`. Anything but two hex digits stays. Bytes that aren't UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%')
            .then(|| text.get(i + 1..i + 3))
            .flatten()
            .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(Ok(byte)) = hex.map(|h| u8::from_str_radix(h, 16)) {
            out.push(byte);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_kind_survive_encoding() {
        assert_eq!(decode("a%2F1%20b"), "a/1 b");
        assert_eq!(decode("100%25;%C3%A9+x"), "100%;é+x");
        assert_eq!(decode("50%"), "50%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn comma_lists_and_repeated_names_are_one_list() {
        let q = Query::parse("status=SENT%2COPENED&status=CLICKED&x=a+b");
        assert_eq!(q.all("status").collect::<Vec<_>>(), ["SENT", "OPENED", "CLICKED"]);
        assert_eq!(q.get("x"), Some("a b"));
        assert_eq!(q.get("y"), None);
    }
}
