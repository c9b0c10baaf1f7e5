//! The fuzzer of what others wrote: libFuzzer over every target of [`targets`]. `scripts/fuzz` builds and runs it.
//!
//! ```text
//! jiebei-fuzz list                         every target
//! jiebei-fuzz seeds TARGET CAPTURES DIR    writes inputs to begin with
//! jiebei-fuzz unpack PACK DIR              writes the inputs of a packed corpus
//! jiebei-fuzz pack DIR PACK                packs them: a capture of link type USER0, an input a frame
//! jiebei-fuzz try TARGET FILE…             checks inputs, thoroughly
//! jiebei-fuzz run TARGET ARGUMENT…         libFuzzer, with its own arguments
//! ```

mod targets;

use std::ffi::{CString, c_char, c_int};
use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs, process};

// For the library that it links.
extern crate libfuzzer_sys;

use targets::{Target, Thoroughness, check, samples};

unsafe extern "C" {
    /// libFuzzer as a library: reads its arguments, and calls the target until an end that they set.
    fn LLVMFuzzerRunDriver(
        count: *mut c_int,
        arguments: *mut *mut *mut c_char,
        target: extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;
}

thread_local! {
    /// The target of this run: the driver calls a function that carries nothing.
    static CHOSEN: OnceLock<Target> = const { OnceLock::new() };
}

/// libFuzzer runs in the thread that called it.
extern "C" fn one(octets: *const u8, length: usize) -> c_int {
    let input = if length == 0 {
        &[]
    } else {
        // SAFETY: libFuzzer gives the place and length of a buffer that it keeps while it waits for us.
        unsafe { std::slice::from_raw_parts(octets, length) }
    };
    CHOSEN.with(|chosen| {
        if let Some(target) = chosen.get() {
            check(target, input, Thoroughness::Some);
        }
    });
    0
}

/// The crate's own entry wants this symbol; the driver is given [`one`].
#[unsafe(no_mangle)]
extern "C" fn rust_fuzzer_test_input(octets: *const u8, length: usize) -> c_int {
    one(octets, length)
}

fn chosen(name: &str) -> Target {
    targets::all().into_iter().find(|target| target.name == name).unwrap_or_else(|| {
        eprintln!("no target {name:?}; see: jiebei-fuzz list");
        process::exit(2)
    })
}

fn run(name: &str, arguments: &[&str]) -> i32 {
    let target = chosen(name);
    let longest = format!("-max_len={}", target.longest);
    let _ = CHOSEN.with(|chosen| chosen.set(target));
    // To merge, libFuzzer starts itself by a shell, with the same words: the first of them has to lead back here.
    let itself = env::current_exe().unwrap();
    let itself = format!("{} run {name}", itself.display());
    let words = [&[itself.as_str(), &longest], arguments].concat();
    let words: Vec<CString> = words.into_iter().map(|word| CString::new(word).unwrap()).collect();
    let mut places: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    places.push(std::ptr::null_mut());
    let (mut count, mut places) = (words.len() as c_int, places.as_mut_ptr());
    // SAFETY: the arguments are texts that end in zero, as many as the count says, behind them a null; they live to the end of
    // this function, and libFuzzer keeps what it changes of the list to itself.
    unsafe { LLVMFuzzerRunDriver(&mut count, &mut places, one) }
}

fn write_inputs(folder: &Path, inputs: impl IntoIterator<Item = Vec<u8>>) {
    fs::create_dir_all(folder).unwrap();
    for input in inputs {
        fs::write(folder.join(format!("{:011x}", targets::draw(&input))), &input).unwrap();
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => targets::all().iter().for_each(|target| println!("{}", target.name)),
        ["seeds", name, captures, folder] => {
            let target = chosen(name);
            let mut seeds = (target.seeds)(&samples::Samples::of(Path::new(captures)));
            seeds.retain(|seed| seed.len() <= target.longest);
            write_inputs(Path::new(folder), seeds);
        }
        ["unpack", pack, folder] => {
            write_inputs(Path::new(folder), samples::unpack(Path::new(pack)))
        }
        ["pack", folder, pack] => samples::pack(Path::new(folder), Path::new(pack)),
        ["try", name, ref files @ ..] => {
            let target = chosen(name);
            for file in files {
                check(&target, &fs::read(file).unwrap(), Thoroughness::All);
                println!("{file}: holds");
            }
        }
        ["run", name, ref arguments @ ..] => process::exit(run(name, arguments)),
        _ => {
            eprintln!(
                "usage: jiebei-fuzz list | seeds | unpack | pack | try | run; see the head of its source"
            );
            process::exit(2);
        }
    }
}
