// SPDX-License-Identifier: Apache-2.0
//! The program in bindings/README.md, exactly as printed, in a package of its own.
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_program_of_the_readme_runs() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let programs: Vec<&str> = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(programs.len(), 1);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    fs::create_dir_all(folder.join("src")).unwrap();
    let dependency = format!("[dependencies]\nrstream = {{ path = {:?} }}\n", env!("CARGO_MANIFEST_DIR"));
    let package = "[package]\nname = \"greeter\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n";
    fs::write(folder.join("Cargo.toml"), package.to_string() + &dependency).unwrap();
    fs::write(folder.join("src/main.rs"), programs[0]).unwrap();

    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--offline"]).current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello from the other end\n");
}
