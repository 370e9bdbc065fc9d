//! Damage by chance that can be repeated: the same seed damages the same bytes.

/// A small generator (splitmix64) for noise. Nothing secret comes from it.
#[derive(Debug, Clone)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// Noise of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whether something happens that happens `per_million` times in a million.
    pub fn strikes(&mut self, per_million: u32) -> bool {
        self.draw() % 1_000_000 < u64::from(per_million)
    }

    /// Damages each byte with this chance: it becomes another one.
    pub fn damage(&mut self, bytes: &mut [u8], per_million: u32) {
        if per_million == 0 {
            return;
        }
        for byte in bytes {
            if self.strikes(per_million) {
                let [bits, ..] = self.draw().to_le_bytes();
                *byte ^= bits.max(1);
            }
        }
    }
}
