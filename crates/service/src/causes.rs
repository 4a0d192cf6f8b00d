//! An error on one line.

use std::error::Error;

/// The text of `error` and of all that caused it: `writing the file: disk full`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn every_cause_is_told_in_order() {
        let innermost = Link { text: "disk full", source: None };
        let middle = Link { text: "writing the file", source: Some(Box::new(innermost)) };
        let outermost = Link { text: "saving the report", source: Some(Box::new(middle)) };
        assert_eq!(with_causes(&outermost), "saving the report: writing the file: disk full");
    }
}
