//! Counter-based randomness: a draw is a function of (seed, patient, stream, counter) and of nothing else, so any
//! patient can be made alone, in any order, on any machine, with the same result.
//!
//! `ln`, `exp` and the normal quantile are written out here because the platform's may differ in the last bit.

use xxhash_rust::xxh3::xxh3_64;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scrambles 64 bits; every output bit depends on every input bit.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The key of a stream.
pub fn stream_key(seed: u64, patient: u64, stream: &str) -> u64 {
    // In one place, so that it is hashed at once, which is several times as fast as piece by piece.
    let (mut short, mut long) = ([0; 96], Vec::new());
    let length = 16 + stream.len();
    let text = match short.get_mut(..length) {
        Some(text) => text,
        None => {
            long.resize(length, 0);
            &mut long
        }
    };
    text[..8].copy_from_slice(&seed.to_le_bytes());
    text[8..16].copy_from_slice(&patient.to_le_bytes());
    text[16..].copy_from_slice(stream.as_bytes());
    xxh3_64(text)
}

/// Draw number `counter` of the stream with that key.
pub fn bits_at(key: u64, counter: u64) -> u64 {
    mix(key ^ mix(counter.wrapping_mul(GOLDEN).wrapping_add(GOLDEN)))
}

/// A number in [0, 1): draw `counter` of the stream with that key.
pub fn unit_at(key: u64, counter: u64) -> f64 {
    unit(bits_at(key, counter))
}

/// A standard normal number: draw `counter` of the stream with that key.
pub fn normal_at(key: u64, counter: u64) -> f64 {
    normal_quantile(open_unit(bits_at(key, counter)))
}

/// A UUID-shaped id that is a function of (seed, patient, kind, n).
pub fn uuid(seed: u64, patient: u64, kind: &str, n: u64) -> uuid::Uuid {
    let key = stream_key(seed, patient, kind);
    let (high, low) = (bits_at(key, 2 * n), bits_at(key, 2 * n + 1));
    uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid()
}

/// One stream of draws.
#[derive(Clone, Debug)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of that name for one patient.
    pub fn new(seed: u64, patient: u64, name: &str) -> Stream {
        Stream { key: stream_key(seed, patient, name), counter: 0 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let bits = bits_at(self.key, self.counter);
        self.counter += 1;
        bits
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// A number in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in 0..count.
    pub fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(count)) >> 64) as u64
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A standard normal number.
    pub fn normal(&mut self) -> f64 {
        normal_quantile(open_unit(self.bits()))
    }

    /// An exponential number of that mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(open_unit(self.bits()))
    }

    /// An index drawn by weight; the last one when rounding leaves something over.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut rest = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if rest < weight {
                return index;
            }
            rest -= weight;
            last = index;
        }
        last
    }
}

impl rand::TryRng for Stream {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A number in (0, 1): the middle of one of 2^53 equal cells.
fn open_unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
}

/// Share of a standard normal population below a value (Abramowitz and Stegun 26.2.17; error below 1e-7).
pub fn normal_share(value: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * value.abs());
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let above = sum * exp(-value * value / 2.0) * 0.398_942_280_401_432_7;
    if value < 0.0 { above } else { 1.0 - above }
}

const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Natural logarithm of a positive, normal number.
pub fn ln(value: f64) -> f64 {
    let bits = value.to_bits();
    let mut exponent = ((bits >> 52) & 0x7FF) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for odd in [23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = (sum + 1.0 / odd) * square;
    }
    let exponent = exponent as f64;
    exponent * LN_2_HIGH + (2.0 * ratio * (1.0 + sum) + exponent * LN_2_LOW)
}

/// The exponential function, for arguments between -700 and 700.
pub fn exp(value: f64) -> f64 {
    let value = value.clamp(-700.0, 700.0);
    let power = (value * std::f64::consts::LOG2_E).round();
    let rest = (value - power * LN_2_HIGH) - power * LN_2_LOW;
    let mut sum = 1.0;
    for divisor in (1..=16).rev() {
        sum = 1.0 + sum * rest / f64::from(divisor);
    }
    sum * f64::from_bits(((power as i64 + 1023) as u64) << 52)
}

/// `base` to the power of `exponent`.
pub fn power(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

/// Value below which a standard normal number lies with that probability (Wichura 1988, algorithm AS 241).
pub fn normal_quantile(probability: f64) -> f64 {
    let centred = probability - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * rational(r, &CENTRE);
    }
    let tail = if centred < 0.0 { probability } else { 1.0 - probability };
    let r = (-ln(tail)).sqrt();
    let value = if r <= 5.0 { rational(r - 1.6, &MIDDLE) } else { rational(r - 5.0, &TAIL) };
    if centred < 0.0 { -value } else { value }
}

fn rational(x: f64, [numerator, denominator]: &[[f64; 8]; 2]) -> f64 {
    let horner =
        |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient);
    horner(numerator) / horner(denominator)
}

const CENTRE: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];
const MIDDLE: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];
const TAIL: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise behind "same seed, same bytes": these values never change.
    #[test]
    fn known_answers() {
        let mut stream = Stream::new(1, 0, "test");
        let draws: Vec<u64> = (0..3).map(|_| stream.bits()).collect();
        assert_eq!((draws.as_slice(), uuid(1, 0, "Patient", 0).to_string().as_str()), (&KNOWN_BITS[..], KNOWN_UUID));
    }

    const KNOWN_BITS: [u64; 3] = [601_496_304_644_436_508, 13_557_152_116_580_522_214, 11_845_194_973_226_180_126];
    const KNOWN_UUID: &str = "53e0b664-8b87-4d9b-b9f4-7ae62226612d";

    #[test]
    fn a_name_of_any_length_is_hashed_alike() {
        for length in [0, 1, 79, 80, 81, 300] {
            let name = "x".repeat(length);
            let mut text = [3_u64, 5].map(u64::to_le_bytes).concat();
            text.extend_from_slice(name.as_bytes());
            assert_eq!(stream_key(3, 5, &name), xxh3_64(&text), "{length}");
        }
    }

    #[test]
    fn streams_are_apart() {
        let first = |seed, patient, name| Stream::new(seed, patient, name).bits();
        let base = first(1, 2, "a");
        assert_eq!(base, first(1, 2, "a"));
        for other in [first(2, 2, "a"), first(1, 3, "a"), first(1, 2, "b")] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn logarithm_and_exponential_agree_with_the_platform() {
        for step in 1..4000 {
            let value = f64::from(step) * 0.37;
            assert!((ln(value) - value.ln()).abs() <= 2e-15 * value.ln().abs().max(1.0), "ln {value}");
            let argument = f64::from(step - 2000) * 0.01;
            assert!((exp(argument) / argument.exp() - 1.0).abs() < 5e-15, "exp {argument}");
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn normal_quantiles_are_right() {
        for (probability, value) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.25, -0.674_489_750_196_081_7),
            (0.999, 3.090_232_306_167_813),
            (1e-6, -4.753_424_308_822_899),
            (1e-12, -7.034_483_825_301_132),
        ] {
            assert!((normal_quantile(probability) - value).abs() < 1e-9, "{probability}");
        }
    }

    #[test]
    fn moments_are_right() {
        let mut stream = Stream::new(7, 7, "moments");
        let count = 200_000;
        let (mut unit, mut normal, mut square, mut exponential) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..count {
            unit += stream.unit();
            let draw = stream.normal();
            normal += draw;
            square += draw * draw;
            exponential += stream.exponential(3.0);
        }
        let count = f64::from(count);
        assert!((unit / count - 0.5).abs() < 0.003);
        assert!((normal / count).abs() < 0.01);
        assert!((square / count - 1.0).abs() < 0.02);
        assert!((exponential / count - 3.0).abs() < 0.04);
    }

    #[test]
    fn weights_hold() {
        let mut stream = Stream::new(3, 3, "weights");
        let mut seen = [0u32; 3];
        for _ in 0..100_000 {
            seen[stream.weighted([1.0, 2.0, 7.0].into_iter())] += 1;
        }
        for (count, expected) in seen.into_iter().zip([10_000, 20_000, 70_000]) {
            assert!(count.abs_diff(expected) < 600, "{seen:?}");
        }
    }

    #[test]
    fn shares_and_quantiles_are_inverse() {
        for share in [0.001, 0.05, 0.25, 0.5, 0.9, 0.999] {
            assert!((normal_share(normal_quantile(share)) - share).abs() < 1e-6, "{share}");
        }
    }
}
