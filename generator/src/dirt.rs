//! Dirt on demand: what real feeds have and synthetic ones lack. A blemish is drawn for a resource from its patient's
//! stream of that kind, so that it depends on nothing else; then both sinks are told. One writes the spoiled resource, the
//! other the rows that are owed for it all the same.

mod blemish;
mod kind;
mod other_unit;
mod rates;
mod stain;

pub use blemish::{Blemish, Blemishes, Fault, NameForm};
pub use kind::Kind;
pub use other_unit::OtherUnits;
pub use rates::{DayRate, Rates};
pub use stain::{first_day, stain};
