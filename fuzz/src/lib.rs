//! What the targets share: the properties that hold of any bytes, and where a fuzzer begins. Both stand among
//! the tests, which hold the same properties against bytes of their own.

#[path = "../../tests/config/mod.rs"]
pub mod config;
#[path = "../../tests/goldens/mod.rs"]
pub mod goldens;
#[path = "../../tests/properties/mod.rs"]
pub mod properties;
#[path = "../../tests/world/mod.rs"]
pub mod world;
