#![no_main]

mod checks;

libfuzzer_sys::fuzz_target!(|text: &str| checks::number(text));
