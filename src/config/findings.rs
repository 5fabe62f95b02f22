//! The problems of a configuration that was refused.

use std::fmt;

use crate::document::Problem;

/// What was found in a text that can't be run.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Everything that is wrong, in the order of the text. Never empty.
    pub problems: Vec<Problem>,
    /// What is legal but most likely not meant, or could not be checked.
    pub warnings: Vec<Problem>,
}

/// Why a configuration was refused.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, or what stands in its place.
    pub source: String,
    /// What was found in it.
    pub findings: Findings,
}

impl From<Vec<Problem>> for Findings {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, warnings: Vec::new() }
    }
}

// === impl ConfigError ===

impl ConfigError {
    /// How much was found, such as `2 problems, 1 warning`. `with_warnings` counts the warnings,
    /// too.
    #[must_use]
    pub fn count(&self, with_warnings: bool) -> String {
        let Findings { problems, warnings } = &self.findings;
        let of =
            |count: usize, word| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let problems = of(problems.len(), "problem");
        if warnings.is_empty() || !with_warnings {
            return problems;
        }
        format!("{problems}, {}", of(warnings.len(), "warning"))
    }
}

/// Shows only the problems, because they are why it was refused.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.findings.problems.iter();
        let lines: Vec<_> = problems.map(|problem| problem.at(&self.source)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
