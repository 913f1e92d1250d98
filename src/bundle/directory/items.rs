//! Cuts a JSON array into the texts of its items, so that a file is never in memory as a tree.
//!
//! Promises: what it yields covers the array, item by item; whether an item is sound JSON is for who parses it.

use std::ops::Range;

/// What does not look like an array, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The place in bytes.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
}

/// The items of an array, as places in its text. Ends with the first thing that is wrong.
pub struct Items<'t> {
    text: &'t [u8],
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    Over,
}

impl<'t> Items<'t> {
    /// The items of a text.
    pub fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, state: State::Start }
    }

    fn step(&mut self) -> Result<Option<Range<usize>>, Broken> {
        if self.state == State::Start {
            self.expect(b'[', "`[`: a directory is a JSON array of entities")?;
            self.state = State::Inside;
            if self.peek() == Some(b']') {
                return self.end();
            }
            return self.item().map(Some);
        }
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b']') => return self.end(),
            _ => return self.broken("`,` or `]`"),
        }
        self.item().map(Some)
    }

    /// The rest of the array, which is nothing.
    fn end(&mut self) -> Result<Option<Range<usize>>, Broken> {
        self.at += 1;
        self.state = State::Over;
        match self.peek() {
            None => Ok(None),
            Some(_) => self.broken("the end of the file"),
        }
    }

    /// From the first byte of a value to the end of it, by brackets and strings alone.
    fn item(&mut self) -> Result<Range<usize>, Broken> {
        if matches!(self.peek(), None | Some(b',' | b']')) {
            return self.broken("an entity");
        }
        let start = self.at;
        let mut depth = 0_usize;
        let mut in_string = false;
        while let Some(byte) = self.text.get(self.at) {
            match (in_string, *byte) {
                (true, b'\\') => self.at += 1,
                (_, b'"') => in_string = !in_string,
                (true, _) => {}
                (false, b'{' | b'[') => depth += 1,
                (false, b'}' | b']') if depth == 1 => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                (false, b',' | b']' | b'}') if depth == 0 => return Ok(start..self.at),
                (false, b'}' | b']') => depth -= 1,
                (false, _) => {}
            }
            self.at += 1;
        }
        self.at = self.text.len();
        self.broken("the end of an entity and `]`")
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Broken> {
        if self.peek() != Some(byte) {
            return self.broken(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(**byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.text.get(self.at).copied()
    }

    fn broken<T>(&self, expected: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, expected })
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Range<usize>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.state = State::Over;
        }
        step.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Result<&str, usize>]) {
        let found: Vec<Result<&str, usize>> = Items::of(text)
            .map(|item| item.map(|place| text.get(place).unwrap()).map_err(|broken| broken.at))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn arrays_are_cut_at_their_commas() {
        check("[]", &[]);
        check(" [ \n] ", &[]);
        check("[{}]", &[Ok("{}")]);
        check(
            "[ {\"a\": [1, {}]} , {\"b\": \"]},\\\"[{\"}]",
            &[Ok("{\"a\": [1, {}]}"), Ok("{\"b\": \"]},\\\"[{\"}")],
        );
        check("[1, \"x\",null]", &[Ok("1"), Ok("\"x\""), Ok("null")]);
        // Brackets that do not match are left to who parses the item.
        check("[{\"a\":]}, {}]", &[Ok("{\"a\":]"), Err(7)]);
    }

    #[test]
    fn what_is_no_array_ends_with_its_place() {
        check("", &[Err(0)]);
        check("{}", &[Err(0)]);
        check("[", &[Err(1)]);
        check("[{}", &[Ok("{}"), Err(3)]);
        check("[{}] x", &[Ok("{}"), Err(5)]);
        check("[{},]", &[Ok("{}"), Err(4)]);
        check("[,]", &[Err(1)]);
        check("[{} {}]", &[Ok("{}"), Err(4)]);
        check("[{\"a\": \"", &[Err(8)]);
        check("[{\"a\\", &[Err(5)]);
    }
}
