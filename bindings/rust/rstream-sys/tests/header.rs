// SPDX-License-Identifier: Apache-2.0
//! The declarations say what the headers say: the C compiler is asked, with a program that declares everything anew as
//! Rust has it, and the library's symbols are counted. A function, type or constant that the headers gain fails here until
//! generate.py was run.
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::CStr;
use std::fs;
use std::mem::{align_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the crate declares, read from its sources.
#[derive(Default)]
struct Declared {
    /// Name, parameter types and result.
    functions: BTreeMap<String, (Vec<String>, String)>,
    callbacks: BTreeMap<String, (Vec<String>, String)>,
    constants: BTreeMap<String, (String, String)>,
    enums: BTreeSet<String>,
    structs: BTreeSet<String>,
}

fn parameters(list: &str) -> Vec<String> {
    list.split(',')
        .filter(|word| !word.trim().is_empty())
        .map(|word| word.split_once(':').expect("a parameter has a type").1.trim().to_string())
        .collect()
}

/// Splits `(a: A, b: B) -> R` behind a name.
fn signature(text: &str) -> (Vec<String>, String) {
    let (list, rest) = text.split_once('(').unwrap().1.split_once(')').unwrap();
    let result = rest.trim().trim_end_matches([',', '>']).trim();
    (parameters(list), result.strip_prefix("-> ").unwrap_or("c_void").to_string())
}

fn declared() -> Declared {
    let mut found = Declared::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with("//")).collect();
        // Items end with ';' or with the '{' of a structure.
        for item in code.join(" ").split("pub ").skip(1) {
            let item: String = item.split_whitespace().collect::<Vec<_>>().join(" ");
            let end = item.find([';', '{']).unwrap_or(item.len());
            let (kind, rest) = item[..end].split_once(' ').unwrap_or_default();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            match kind {
                "fn" => drop(found.functions.insert(name.clone(), signature(&rest[name.len()..]))),
                "type" if rest.contains("fn(") => {
                    let text = &rest[rest.find("fn(").unwrap()..];
                    drop(found.callbacks.insert(name, signature(text)))
                }
                "type" => drop(found.enums.insert(name)),
                "struct" => drop(found.structs.insert(name)),
                "const" => {
                    let (kind, value) = rest[name.len() + 1..].split_once('=').unwrap();
                    drop(found.constants.insert(name, (kind.trim().to_string(), value.trim().to_string())))
                }
                _ => {}
            }
        }
    }
    found
}

/// `*const rstream_error` as C writes it.
fn c_type(rust: &str) -> String {
    if let Some(inner) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(inner));
    }
    if let Some(inner) = rust.strip_prefix("*mut ") {
        return format!("{} *", c_type(inner));
    }
    let name = match rust {
        "c_void" => "void",
        "c_char" => "char",
        "c_int" => "int",
        "c_uint" => "unsigned int",
        "usize" => "size_t",
        "u8" => "uint8_t",
        "u16" => "uint16_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i64" => "int64_t",
        "f64" => "double",
        "uv_loop_s" => "struct uv_loop_s",
        other => other,
    };
    name.to_string()
}

fn c_parameters(types: &[String]) -> String {
    let list: Vec<String> = types.iter().map(|rust| c_type(rust)).collect();
    if list.is_empty() {
        "void".to_string()
    } else {
        list.join(", ")
    }
}

fn include_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../include")
}

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn compiler(arguments: &[&str]) -> String {
    let program = env::var("CC").unwrap_or_else(|_| "cc".to_string());
    let output = Command::new(&program).arg("-I").arg(include_folder()).args(arguments).output().expect("cc runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}:\n{words}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words of a text that begin with `prefix`.
fn words(text: &str, prefix: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix))
        .map(str::to_string)
        .collect()
}

fn preprocessed() -> String {
    let source = scratch().join("header.c");
    fs::write(&source, "#include <rstream.h>\n").unwrap();
    compiler(&["-E", "-P", source.to_str().unwrap()])
}

#[test]
fn the_compiler_agrees() {
    let declared = declared();
    let mut program = String::from("#include <rstream.h>\n");
    for (name, (types, result)) in &declared.functions {
        program += &format!("{} {name}({});\n", c_type(result), c_parameters(types));
    }
    for (name, (types, result)) in &declared.callbacks {
        program += &format!("typedef {} (*{name})({});\n", c_type(result), c_parameters(types));
    }
    for (name, (kind, value)) in &declared.constants {
        program += &match kind.as_str() {
            "&str" => format!("_Static_assert(!__builtin_strcmp({name}, {value}), \"{name}\");\n"),
            _ => format!("_Static_assert({name} == ({value}), \"{name}\");\n"),
        };
    }
    for name in &declared.enums {
        program += &format!("_Static_assert(sizeof({name}) == {}, \"{name}\");\n", size_of::<std::os::raw::c_int>());
    }
    for name in &declared.structs {
        let of = if name == "uv_loop_s" { "struct uv_loop_s" } else { name };
        program += &format!("extern {of} *object_{name};\n");
    }
    let (size, alignment) = (size_of::<rstream_sys::rstream_buf>(), align_of::<rstream_sys::rstream_buf>());
    program += &format!("_Static_assert(sizeof(rstream_buf) == {size}, \"size\");\n");
    program += &format!("_Static_assert(_Alignof(rstream_buf) == {alignment}, \"alignment\");\n");
    program += "_Static_assert(offsetof(rstream_buf, base) == 0, \"base\");\n";
    program += &format!("_Static_assert(offsetof(rstream_buf, len) == {}, \"len\");\n", size_of::<*const u8>());
    let source = scratch().join("declarations.c");
    fs::write(&source, program).unwrap();
    compiler(&["-std=c11", "-Wall", "-Werror", "-fsyntax-only", source.to_str().unwrap()]);
}

#[test]
fn nothing_is_missing() {
    let declared = declared();
    let text = preprocessed();
    let mut names: BTreeSet<String> = BTreeSet::new();
    names.extend(declared.functions.keys().cloned());
    names.extend(declared.callbacks.keys().cloned());
    names.extend(declared.enums.iter().cloned());
    names.extend(declared.structs.iter().filter(|name| *name != "uv_loop_s").cloned());
    assert_eq!(words(&text, "rstream_"), names, "functions and types of the headers, and of the crate");

    // Enumerators are left in the text; macros are listed by the preprocessor, guards and function-like ones aside.
    let mut constants = words(&text, "RSTREAM_");
    let source = scratch().join("header.c");
    for line in compiler(&["-E", "-dM", source.to_str().unwrap()]).lines() {
        let (name, value) = line["#define ".len()..].split_once(' ').unwrap_or_default();
        if name.starts_with("RSTREAM_") && !name.contains('(') && name != "RSTREAM_API" && !value.is_empty() {
            constants.insert(name.to_string());
        }
    }
    let own: BTreeSet<String> = declared.constants.keys().cloned().collect();
    assert_eq!(constants, own, "constants of the headers, and of the crate");

    // Structures that callers lay out are measured above, one by one.
    let is_laid_out = |line: &&str| line.starts_with("typedef struct rstream_") && line.contains('{');
    let laid_out: Vec<&str> = text.lines().filter(is_laid_out).collect();
    assert_eq!(laid_out, ["typedef struct rstream_buf {"]);
}

#[test]
fn the_library_has_these_symbols() {
    let library = Path::new(env!("RSTREAM_SYS_LIB_DIR")).join("librstream.so");
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().expect("nm runs");
    assert!(output.status.success());
    let symbols = words(&String::from_utf8(output.stdout).unwrap(), "rstream_");
    let own: BTreeSet<String> = declared().functions.keys().cloned().collect();
    assert_eq!(symbols, own, "functions of {}, and of the crate", library.display());
}

#[test]
fn the_library_answers() {
    let version = unsafe { CStr::from_ptr(rstream_sys::rstream_version_string()) };
    assert!(unsafe { rstream_sys::rstream_version_number() } >= rstream_sys::RSTREAM_VERSION_NUMBER);
    assert!(version.to_str().unwrap().starts_with(&format!("{}.", rstream_sys::RSTREAM_VERSION_MAJOR)));
}
