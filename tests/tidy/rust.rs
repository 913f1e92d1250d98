//! Rust files as the rules need them: without comments, literals and tests, but with every line in its place.

use std::sync::LazyLock;

use super::tree;

/// One file under `src/`.
pub struct RustFile {
    /// Its path from the repository's folder.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its text with comments, literals and tests blanked out.
    pub code: String,
    /// Lines that are not in tests.
    pub lines: usize,
}

/// Every file under `src/` that is not a test as a whole.
pub fn files() -> &'static [RustFile] {
    static FILES: LazyLock<Vec<RustFile>> = LazyLock::new(|| {
        let paths = tree::with_ending(&[".rs"]).into_iter();
        paths.filter(|path| path.starts_with("src/") && !is_test_path(path)).map(read).collect()
    });
    &FILES
}

/// Whether a whole file is tests.
pub fn is_test_path(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

fn read(path: String) -> RustFile {
    let text = tree::read(&path);
    let mut code = skeleton(&text);
    let mut test_lines = 0;
    while let Some(at) = code.find(CFG_TEST) {
        let end = at + item_end(code.get(at..).unwrap_or_default());
        test_lines += code.get(at..end).unwrap_or_default().lines().count();
        let blank: String = code.chars().enumerate().map(|(i, c)| blanked(c, at <= i && i < end)).collect();
        code = blank;
    }
    let lines = text.lines().count() - test_lines;
    RustFile { path, text, code, lines }
}

const CFG_TEST: &str = "#[cfg(test)]";

fn blanked(c: char, is_blank: bool) -> char {
    if is_blank && c != '\n' { ' ' } else { c }
}

/// Bytes up to the end of the item that a text starts with: its `;` or its closing brace.
fn item_end(code: &str) -> usize {
    match code.find([';', '{']) {
        Some(at) if code.as_bytes().get(at) == Some(&b'{') => {
            at + block_end(code.get(at..).unwrap_or_default())
        }
        Some(at) => at + 1,
        None => code.len(),
    }
}

/// Bytes of the block that a text starts with, braces included.
pub fn block_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The text in ASCII with comments, strings and characters as spaces; a character that is not ASCII becomes one space.
pub fn skeleton(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = chars.get(at..).unwrap_or_default();
        let follows_name = code.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let length = literal_length(rest, follows_name);
        for c in rest.iter().take(length.max(1)) {
            let is_blank = length > 0 || !c.is_ascii();
            code.push(blanked(*c, is_blank));
        }
        at += length.max(1);
    }
    code
}

/// Characters of the comment or literal that a text starts with, 0 for none.
fn literal_length(rest: &[char], follows_name: bool) -> usize {
    match rest {
        ['/', '/', ..] => return rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => return comment_length(rest),
        ['"', ..] => return quoted_length(rest, '"'),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => return quoted_length(rest, '\''),
        ['b' | 'r', ..] if !follows_name => {}
        _ => return 0,
    }
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'r')).count();
    let hashes = rest.iter().skip(prefix).take_while(|c| **c == '#').count();
    let is_raw = rest.iter().take(prefix).any(|c| *c == 'r');
    match rest.get(prefix + hashes) {
        Some('"') if is_raw => raw_length(rest, prefix + hashes, hashes),
        _ => 0,
    }
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.iter().enumerate().skip(1) {
        match (is_escaped, *c) {
            (false, '\\') => is_escaped = true,
            (false, c) if c == quote => return at + 1,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

fn raw_length(rest: &[char], quote_at: usize, hashes: usize) -> usize {
    let closes = |at: usize| {
        rest.get(at) == Some(&'"')
            && rest.iter().skip(at + 1).take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let end = (quote_at + 1..rest.len()).find(|at| closes(*at));
    end.map_or(rest.len(), |end| end + 1 + hashes)
}

fn comment_length(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let pair: String = rest.iter().skip(at).take(2).collect();
        match pair.as_str() {
            "/*" => depth += 1,
            "*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(skeleton(text), expected, "{text}");
        assert_eq!(skeleton(text).lines().count(), text.lines().count());
    }
    check("let a = \"{\\\"\"; // }\nb", "let a =      ;     \nb");
    check("r#\"}\"# 'x' '\\'' &'a T", "                &'a T");
    check("/* a /* b */ { */ c", "                  c");
    check("for_r\"x\"", "for_r   ");
    check("'•' b\"}\"", "    b   ");
}
