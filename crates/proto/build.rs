//! Compiles the contract with protox, so that no `protoc` has to be installed.

use std::fmt::Write as _;
use std::{env, error::Error, fs, path::PathBuf};

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// The names of fields whose texts nobody may see but who is to have them: codes, passwords, letters and files with codes. A
/// message that has such a field has no derived `Debug`.
const SECRET: [&str; 5] = ["code", "codes", "password", "text", "rows"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let files = proto_files(&root.join("latchkey"))?;
    let mut compiler =
        protox::Compiler::new([&root, &root.join("vendor/prost-protovalidate-types/proto")])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;

    // The encoded set keeps the custom options (`buf.validate`), which the decoded one drops: reflection shows them
    // to clients and the validation code is generated from them.
    let descriptors = out.join("descriptors.bin");
    fs::write(&descriptors, compiler.encode_file_descriptor_set())?;

    let files = compiler.file_descriptor_set();
    let secret = secret_messages(&files)?;
    fs::write(out.join("redacted.rs"), redacted(&secret)?)?;
    tonic_prost_build::configure()
        .bytes(".")
        .skip_debug(secret.iter().map(|name| format!(".{name}")))
        .compile_fds(files)?;

    prost_protovalidate_build::Builder::new()
        .file_descriptor_set_path(&descriptors)?
        .fail_on_runtime_only(true)
        .compile()?;
    Ok(())
}

/// The messages of the contract that have a field by a name of [`SECRET`].
fn secret_messages(files: &FileDescriptorSet) -> Result<Vec<String>, Box<dyn Error>> {
    let mut secret = Vec::new();
    for file in &files.file {
        let package = file.package();
        if !package.starts_with("latchkey.") {
            continue;
        }
        for message in &file.message_type {
            // Their types are found by the name of the package: see `redacted`.
            if message.nested_type.iter().any(is_secret) {
                return Err(format!("a secret in a message within {}", message.name()).into());
            }
            if is_secret(message) {
                secret.push(format!("{package}.{}", message.name()));
            }
        }
    }
    Ok(secret)
}

fn is_secret(message: &DescriptorProto) -> bool {
    let mut fields = message.field.iter();
    fields.any(|field| {
        SECRET.contains(&field.name()) && matches!(field.r#type(), Type::String | Type::Bytes)
    })
}

/// What keeps the `Debug` of these messages from telling anything.
fn redacted(messages: &[String]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("redacted! {\n");
    for message in messages {
        let path = message.replace('.', "::").replacen("latchkey", "crate", 1);
        writeln!(text, "    {message:?} => {path},")?;
    }
    text.push_str("}\n");
    Ok(text)
}

fn proto_files(dir: &PathBuf) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
