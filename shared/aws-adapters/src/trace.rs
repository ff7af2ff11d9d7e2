//! Traces: X-Ray's header and the W3C trace context, which an envelope carries, say the same.
//!
//! Lambda tells a function its trace; EventBridge takes one with each entry, and its targets go on
//! with it. A table's stream carries none: there the envelope does.
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>,
//! <https://www.w3.org/TR/trace-context/>

/// The W3C `traceparent` of an X-Ray header; `None` for a trace that nobody keeps: it is not worth
/// the bytes that every event of an order would have of it.
#[must_use]
pub fn traceparent(header: &str) -> Option<String> {
    let part = |name: &str| {
        let mut parts = header.split(';').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let (start, rest) = part("Root")?.strip_prefix("1-")?.split_once('-')?;
    let parent = part("Parent")?;
    let is_sampled = part("Sampled") == Some("1");
    let has_digits = |text: &str, count| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    (is_sampled && has_digits(start, 8) && has_digits(rest, 24) && has_digits(parent, 16))
        .then(|| format!("00-{start}{rest}-{parent}-01").to_ascii_lowercase())
}

/// The X-Ray header of a W3C `traceparent`; `None`, when it is none.
#[must_use]
pub fn header(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-');
    let (_, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (start, rest) = trace.split_at_checked(8)?;
    let sampled = u8::from(flags.ends_with('1'));
    Some(format!(
        "Root=1-{start}-{rest};Parent={parent};Sampled={sampled}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    const HEADER: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn both_forms_say_the_same() {
        assert_eq!(traceparent(HEADER).as_deref(), Some(TRACEPARENT));
        assert_eq!(header(TRACEPARENT).as_deref(), Some(HEADER));
        let with_lineage = format!("{HEADER};Lineage=a87bd80c:1|68fd508a:5");
        assert_eq!(traceparent(&with_lineage).as_deref(), Some(TRACEPARENT));
    }

    #[test]
    fn what_is_not_kept_or_no_trace_is_not_carried() {
        for none in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "Root=1-5759e988-bd862e3fe1be46a99427279x;Parent=53995c3f42cd8ad8;Sampled=1",
        ] {
            assert_eq!(traceparent(none), None, "{none}");
        }
        assert_eq!(header("00"), None);
    }
}
