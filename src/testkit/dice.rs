//! Pseudo-random numbers that a seed repeats, for tests that draw what they try.

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of several bytes.
    #[expect(clippy::indexing_slicing, reason = "the place is below the length")]
    pub fn pick_byte<'t>(&mut self, of: &'t [u8]) -> &'t u8 {
        &of[self.below(of.len())]
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "there is always a next one")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below another.
    #[expect(clippy::cast_possible_truncation, reason = "it is below a `usize`")]
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64)) as usize
    }

    /// Whether it is one of `of`.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of several.
    #[expect(clippy::indexing_slicing, reason = "the place is below the length")]
    pub fn pick<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len())]
    }

    /// One of several, by its place.
    #[expect(clippy::indexing_slicing, reason = "the place is below the length")]
    pub fn one_of<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}
