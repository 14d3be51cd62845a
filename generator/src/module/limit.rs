//! What a folder of modules may ask for. Modules come from anybody: each limit is far above what real ones need, and
//! low enough that passing it is an error within seconds and not a machine that stands still.

/// Bytes of one module file or lookup table. The largest ones in use have less than half a megabyte.
pub const FILE_BYTES: u64 = 16 << 20;
/// Bytes of all files together. The largest set in use has five megabytes; memory is about ten times the bytes.
pub const ALL_BYTES: u64 = 128 << 20;
/// Files of one folder. The largest set in use has 330.
pub const FILES: usize = 10_000;
/// Folders inside folders. Sets in use go three deep.
pub const FOLDER_DEPTH: usize = 12;
/// The largest absolute number in a module. Milliseconds since 1970, the largest numbers in use, stay below 1e13, and
/// whole numbers up to here are exact, so that sums of them cannot overflow.
pub const NUMBER: f64 = 1e15;
/// The longest span of time, in days: a thousand years outlast everybody, and no calendar ends within them.
pub const SPAN_DAYS: i64 = 365_250;
/// Images of one imaging study, and so its series too. A long computed tomography has some thousand images.
pub const IMAGES: f64 = 10_000.0;
/// States that one module may run in one step of a life. A long stay in hospital runs a few hundred.
pub const STATES_PER_STEP: u32 = 10_000;
/// States that one module may run in one life. A life runs about 25,000 over all modules of the largest set in use.
pub const STATES_PER_LIFE: u64 = 1_000_000;
/// Submodules inside submodules. Sets in use go four deep.
pub const CALL_DEPTH: usize = 32;
