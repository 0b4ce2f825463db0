// SPDX-License-Identifier: Apache-2.0
//! Finds librstream: in the folder that RSTREAM_LIB_DIR names, or else by the pkg-config program.
use std::env;
use std::path::Path;
use std::process::{exit, Command};

const NEEDED: &str = "librstream >= 1.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in
        ["RSTREAM_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR", "DOCS_RS"]
    {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // Documentation is made where the library need not be.
    if env::var_os("DOCS_RS").is_some() {
        return;
    }
    match env::var("RSTREAM_LIB_DIR") {
        Ok(folder) if !folder.is_empty() => in_folder(Path::new(&folder)),
        _ => by_pkg_config(),
    }
}

fn in_folder(folder: &Path) {
    if !folder.join("librstream.so").exists() && !folder.join("librstream.a").exists() {
        fail(&format!("RSTREAM_LIB_DIR is {}, where there is no librstream.so", folder.display()));
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=rstream");
    found(&folder.display().to_string());
}

fn by_pkg_config() {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_string());
    for word in ask(&program, &["--libs", "--print-errors", NEEDED]).split_whitespace() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        }
    }
    found(ask(&program, &["--variable=libdir", "librstream"]).trim());
}

fn ask(program: &str, arguments: &[&str]) -> String {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => fail(&format!("{program} cannot be run: {error}")),
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        fail(&format!("{program} does not find {NEEDED}:\n{}", words.trim_end()));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Tells this crate's tests and the build scripts of crates that depend on it where the library is.
fn found(folder: &str) {
    println!("cargo:rustc-env=RSTREAM_SYS_LIB_DIR={folder}");
    println!("cargo:libdir={folder}");
}

fn fail(what: &str) -> ! {
    eprintln!("rstream-sys: {what}");
    eprintln!(
        "rstream-sys: install librstream with its pkg-config file, name its folder in PKG_CONFIG_PATH \
         when that is not one of the system's, or set RSTREAM_LIB_DIR to the folder of librstream.so"
    );
    exit(1);
}
