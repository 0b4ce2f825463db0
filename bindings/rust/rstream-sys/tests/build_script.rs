// SPDX-License-Identifier: Apache-2.0
//! How build.rs finds the library, and what it says when it does not.
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// build.rs as a program, without anything in its environment that says where the library is.
fn script(name: &str) -> (Command, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("build-script");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_string());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
    let compiled = Command::new(rustc).args(["--edition", "2021", source, "-o"]).arg(&program).status().unwrap();
    assert!(compiled.success());
    let mut command = Command::new(program);
    for name in ["RSTREAM_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH", "DOCS_RS"] {
        command.env_remove(name);
    }
    // Only what the test says is found.
    command.env("PKG_CONFIG_LIBDIR", &folder);
    (command, folder)
}

fn printed(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let is_answer = |line: &&str| line.starts_with("cargo:") && !line.contains("rerun");
    text.lines().filter(is_answer).map(str::to_string).collect()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_folder_that_is_named() {
    let (mut command, folder) = script("named");
    fs::write(folder.join("librstream.so"), "").unwrap();
    let shown = folder.display();
    let wanted = [
        format!("cargo:rustc-link-search=native={shown}"),
        "cargo:rustc-link-lib=rstream".to_string(),
        format!("cargo:rustc-env=RSTREAM_SYS_LIB_DIR={shown}"),
        format!("cargo:libdir={shown}"),
    ];
    assert_eq!(printed(&command.env("RSTREAM_LIB_DIR", &folder).output().unwrap()), wanted);
    let words = refused(&command.env("RSTREAM_LIB_DIR", "/nonexistent").output().unwrap());
    assert!(words.contains("RSTREAM_LIB_DIR is /nonexistent, where there is no librstream.so"), "{words}");
}

#[test]
fn pkg_config_knows_it() {
    let (mut command, folder) = script("known");
    let file = "libdir=/opt/lib\nName: librstream\nDescription: d\nVersion: 1.0.0\nLibs: -L${libdir} -lrstream\n";
    fs::write(folder.join("librstream.pc"), file).unwrap();
    let wanted = [
        "cargo:rustc-link-search=native=/opt/lib",
        "cargo:rustc-link-lib=rstream",
        "cargo:rustc-env=RSTREAM_SYS_LIB_DIR=/opt/lib",
        "cargo:libdir=/opt/lib",
    ];
    assert_eq!(printed(&command.output().unwrap()), wanted);
    fs::write(folder.join("librstream.pc"), file.replace("1.0.0", "0.9.0")).unwrap();
    assert!(refused(&command.output().unwrap()).contains("does not find librstream >= 1.0"));
}

#[test]
fn nobody_knows_it() {
    let (mut command, _) = script("unknown");
    let words = refused(&command.output().unwrap());
    assert!(words.contains("pkg-config does not find librstream >= 1.0"), "{words}");
    assert!(words.contains("PKG_CONFIG_PATH") && words.contains("RSTREAM_LIB_DIR"), "{words}");
    let words = refused(&command.env("PKG_CONFIG", "/nonexistent/pkg-config").output().unwrap());
    assert!(words.contains("/nonexistent/pkg-config cannot be run"), "{words}");
    // Documentation is made without it.
    assert!(printed(&command.env("DOCS_RS", "1").output().unwrap()).is_empty());
}
