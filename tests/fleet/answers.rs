//! When the vendor answers.

use std::time::Duration;

use simulator::Latency;

use crate::form::Form;

#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// Always after the same time.
    Quick,
    /// Evenly up to shortly before the attempt would be given up.
    Slow,
}

impl Answers {
    pub fn latency(self, form: &Form) -> Latency {
        let ms = |span: Duration| span.as_secs_f64() * 1000.0;
        match self {
            Self::Quick => Latency::Fixed { ms: ms(form.answer) },
            Self::Slow => {
                let limit = ms(form.hard_limit);
                Latency::Uniform { min_ms: limit * 0.1, max_ms: limit * 0.8 }
            }
        }
    }

    pub fn mean(self, form: &Form) -> Duration {
        match self {
            Self::Quick => form.answer,
            Self::Slow => form.hard_limit.mul_f64(0.45),
        }
    }
}
