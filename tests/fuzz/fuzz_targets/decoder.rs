#![no_main]

#[path = "../bodies/mod.rs"]
#[allow(dead_code)]
mod bodies;
#[path = "../../slow/mod.rs"]
#[allow(dead_code)]
mod slow;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::decoder::run(data));
