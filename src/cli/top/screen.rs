//! The terminal while `top` has it: raw, another page, no cursor. It is given back as it was, however
//! the command ends.

use std::io::{self, Read as _, Write as _};

use rustix::termios::{self, OptionalActions, Termios};
use tokio::sync::mpsc;

use super::frame::{FrameLine, LineLook, TermSize};

/// Another page, no cursor, no new line when one is full.
const TAKE: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const GIVE_BACK: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// The size of a terminal that does not tell it.
const USUAL: TermSize = TermSize { columns: 80, lines: 24 };

/// The terminal is ours as long as this lives.
pub(super) struct Screen {
    before: Termios,
    coloured: bool,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Standard input or output is none.
    pub(super) fn take() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        termios::tcgetwinsize(io::stdout())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = Self { before, coloured };
        // A panic's message belongs on the page before.
        let (told, before) = (std::panic::take_hook(), screen.before.clone());
        std::panic::set_hook(Box::new(move |panic| {
            give_back(&before);
            told(panic);
        }));
        show(TAKE)?;
        Ok(screen)
    }

    /// Shows `lines` in place of what was there.
    pub(super) fn draw(&self, lines: &[FrameLine]) -> io::Result<()> {
        let mut text = String::from("\u{1b}[H");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text += "\r\n";
            }
            // Erased first: behind the last column the cursor still stands on it.
            text += "\u{1b}[K";
            text += self.look(line.look);
            text += &line.text;
            text += "\u{1b}[0m";
        }
        show(&(text + "\u{1b}[J"))
    }

    fn look(&self, look: LineLook) -> &'static str {
        match look {
            LineLook::Plain => "",
            LineLook::Head | LineLook::Selected => "\u{1b}[7m",
            LineLook::Title => "\u{1b}[1m",
            LineLook::Quiet => "\u{1b}[2m",
            LineLook::Warning if self.coloured => "\u{1b}[33m",
            LineLook::Warning => "\u{1b}[1m",
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(&self.before);
    }
}

fn give_back(before: &Termios) {
    let _ = show(GIVE_BACK);
    let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
}

/// All of `text` at once, so that no half picture is seen.
fn show(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// The size of the terminal, or what a usual one has.
pub(super) fn size() -> TermSize {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            TermSize { columns: size.ws_col.into(), lines: size.ws_row.into() }
        }
        _ => USUAL,
    }
}

/// What is typed, as it comes; the end is the end of the channel. A thread of its own, since a read
/// of a terminal can't be given up; it ends with the process.
pub(super) fn typed() -> mpsc::Receiver<Vec<u8>> {
    let (heard, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut octets = [0; 256];
        while let Ok(count @ 1..) = io::stdin().read(&mut octets) {
            if heard.blocking_send(octets[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
