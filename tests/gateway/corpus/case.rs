//! What a case is, how its octets are made, and what is allowed to come of it.

/// One connection's octets, and what is allowed.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// What is odd about it, after the section that speaks of it.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) want: Want,
}

/// How the octets of a case are made. All but `Raw` are one good request but for what is given, with a key.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A request line.
    Line(&'static str),
    /// The target of a GET.
    Target(&'static str),
    /// The lines that stand for `Host`, each with its end.
    Host(&'static str),
    /// Field lines of a GET, each with its end.
    Fields(&'static str),
    /// Field lines of a POST, each with its end, and what follows the head.
    Post(&'static str, &'static str),
    /// The chunks of a POST, from the first size to the last empty line.
    Chunks(&'static str),
    /// All octets; `{K}` stands for the key's line, `{4000}` for so many letters.
    Raw(&'static str),
}

/// What is allowed. Behind each case the health of the gateway is asked on the same connection: either
/// the gateway closes before, or that gets its own answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// The vendor sees exactly these (`METHOD target body`), each is answered, and the next call too.
    Sees(&'static [&'static str]),
    /// The same, and the gateway closes.
    Last(&'static [&'static str]),
    /// One of these statuses, and nothing at the vendor.
    No(&'static [u16]),
    /// The same, and the gateway closes: what stands behind must not be read as a request.
    Shut(&'static [u16]),
    /// The vendor sees exactly this, or one of these statuses comes and nothing is seen.
    May(&'static str, &'static [u16]),
    /// The same, and the gateway closes.
    Closes(&'static str, &'static [u16]),
    /// The client stops in the middle: nothing at the vendor; at most an answer with one of these.
    Half(&'static [u16]),
}

pub(crate) const GET: &[&str] = &["GET /profiles/c"];
pub(crate) const POST: &[&str] = &["POST /profiles/c hello"];
pub(crate) const BAD: &[u16] = &[400];

pub(crate) const fn line(name: &'static str, line: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Line(line), want }
}

pub(crate) const fn target(name: &'static str, target: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Target(target), want }
}

pub(crate) const fn host(name: &'static str, lines: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Host(lines), want }
}

pub(crate) const fn fields(name: &'static str, lines: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Fields(lines), want }
}

pub(crate) const fn post(
    name: &'static str,
    lines: &'static str,
    rest: &'static str,
    want: Want,
) -> Case {
    Case { name, shape: Shape::Post(lines, rest), want }
}

pub(crate) const fn chunks(name: &'static str, chunks: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Chunks(chunks), want }
}

pub(crate) const fn raw(name: &'static str, octets: &'static str, want: Want) -> Case {
    Case { name, shape: Shape::Raw(octets), want }
}

impl Case {
    /// The octets, with the key.
    pub(crate) fn octets(&self, key: &str) -> Vec<u8> {
        let get = |target: &str, fields: &str| {
            format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n{{K}}{fields}\r\n")
        };
        let post = |fields: &str, rest: &str| {
            format!("POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{{K}}{fields}\r\n{rest}")
        };
        let text = match self.shape {
            Shape::Line(line) => format!("{line}\r\nHost: gateway\r\n{{K}}\r\n"),
            Shape::Target(target) => get(target, ""),
            Shape::Host(lines) => format!("GET /profiles/c HTTP/1.1\r\n{lines}{{K}}\r\n"),
            Shape::Fields(lines) => get("/profiles/c", lines),
            Shape::Post(lines, rest) => post(lines, rest),
            Shape::Chunks(chunks) => post("Transfer-Encoding: chunked\r\n", chunks),
            Shape::Raw(octets) => octets.to_owned(),
        };
        let mut text = text.replace("{K}", &format!("x-api-key: {key}\r\n"));
        for count in [300, 4_000, 9_000, 20_000, 40_000] {
            text = text.replace(&format!("{{{count}}}"), &"y".repeat(count));
        }
        // Octets above 127 stand as letters up to U+00FF.
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    }
}
