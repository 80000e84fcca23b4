//! Text that others wrote, made harmless.
//!
//! What a server answers is hostile until shown otherwise: it may try to be markup, to end a block, or
//! to command a terminal. Every form of a report passes such text through here.

use std::borrow::Cow;

/// Control characters, and those that turn the reading direction, as visible text; a tab and the end of
/// a line stay. Without these a transcript could be made to read as something else than what was sent.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_invisible(c));
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if harmless(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    Cow::Owned(shown)
}

/// Marks and overrides of direction, joiners, separators that some programs take for line ends, and what is no
/// character, which XML may not hold.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// Text for HTML, in an element or in a quoted attribute.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text for one line of Markdown, a table's cell included: whatever could be markup is an entity, which
/// is never read as markup.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '\n' | '\t' => escaped.push(' '),
            '-' | '/' | ',' | '.' | ';' | '(' | ')' | '%' | '?' => escaped.push(c),
            other if other.is_ascii_punctuation() => {
                escaped.push_str(&format!("&#{};", u32::from(other)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// A fenced block of Markdown whose fence is longer than any in the text, so that nothing in it can end
/// it.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let text = visible(text);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!(
        "{fence}{language}\n{}\n{fence}\n",
        text.trim_end_matches('\n')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_in_html() {
        let text = "</script><img src=x onerror='alert(1)' title=\"&\">";
        let escaped = html(text);
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert!(escaped.starts_with("&lt;/script&gt;&lt;img"), "{escaped}");
    }

    #[test]
    fn terminals_and_readers_are_not_commanded() {
        assert_eq!(
            visible("a\u{1b}[31m\u{202e}b\r"),
            "a\\u{1b}[31m\\u{202e}b\\u{d}"
        );
        assert_eq!(visible("\u{fffe}\u{ffff}"), "\\u{fffe}\\u{ffff}");
        assert_eq!(visible("two\nlines\t\u{e4}"), "two\nlines\t\u{e4}");
    }

    #[test]
    fn nothing_is_markup_in_markdown() {
        let escaped = markdown("a | b\n# `x` **y** [z](javascript:1) <b> @all");
        let left = escaped.replace("&#", "");
        let left = left.replace(|c: char| c.is_ascii_digit(), "");
        assert!(
            !left.contains(['|', '\n', '#', '`', '*', '[', ']', '<', '>', '@', ':']),
            "{left}"
        );
    }

    #[test]
    fn no_text_ends_its_block() {
        let block = fenced("", "```\n````\n</details>");
        assert!(
            block.starts_with("`````\n") && block.ends_with("\n`````\n"),
            "{block}"
        );
    }
}
