//! Which columns a Parquet dictionary is of use to. A dictionary costs a look-up for every value; where values hardly
//! repeat, as ids and hashes do, it is thrown away when it has grown too large, and the work with it. The first rows of a
//! file tell.

use std::collections::HashSet;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};

/// So many rows are looked at,
const SAMPLE: usize = 512;
/// and so few values say nothing.
const FEW: usize = 64;

/// True when nearly every one of the first values differs from all others.
pub fn hardly_repeats(values: &ArrayRef) -> bool {
    let sample = values.slice(0, values.len().min(SAMPLE));
    let (distinct, count) = match sample.data_type() {
        DataType::Int64 => distinct(sample.as_primitive::<Int64Type>().iter().flatten()),
        DataType::Utf8 => distinct(sample.as_string::<i32>().iter().flatten()),
        _ => return false,
    };
    count >= FEW && distinct * 10 > count * 9
}

/// How many different values there are, and how many in all.
fn distinct<T: Eq + Hash>(values: impl Iterator<Item = T>) -> (usize, usize) {
    let (mut seen, mut count) = (HashSet::new(), 0);
    for value in values {
        seen.insert(value);
        count += 1;
    }
    (seen.len(), count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn the_first_values_tell_whether_they_repeat() {
        let numbers =
            |count: i64, of: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..count).map(|n| n % of))) };
        assert!(hardly_repeats(&numbers(1000, 1000)));
        assert!(hardly_repeats(&numbers(100, 95)));
        assert!(!hardly_repeats(&numbers(100, 50)));
        assert!(!hardly_repeats(&numbers(60, 60)), "too few to tell");
        let texts =
            |of: usize| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..600).map(|n| (n % of).to_string()))) };
        assert!(hardly_repeats(&texts(600)) && !hardly_repeats(&texts(300)));
        let half: ArrayRef = Arc::new(Int64Array::from_iter((0..500).map(|n| (n % 2 == 0).then_some(n))));
        assert!(hardly_repeats(&half), "what is not there does not repeat");
        let decimals: ArrayRef = Arc::new(Float64Array::from_iter_values((0..600).map(f64::from)));
        assert!(!hardly_repeats(&decimals), "of what is measured no more is known");
    }
}
