//! Compiles the contract with protox, so that no `protoc` has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

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

    tonic_prost_build::configure()
        .bytes(".")
        .skip_debug([
            ".latchkey.enrollment.v1.RedeemKeyRequest",
            ".latchkey.enrollment.v1.CheckKeyRequest",
            ".latchkey.enrollment.v1.RegisterWithKeyRequest",
            ".latchkey.enrollment.v1.AuthenticateRequest",
            ".latchkey.enrollment.v1.Password",
            ".latchkey.enrollment.v1.RenderInvitationResponse",
            ".latchkey.keys.v1.ResolveCodesRequest",
            ".latchkey.keys.v1.LookUpTrainingKeyRequest",
            ".latchkey.keys.v1.RevealedCode",
            ".latchkey.keys.v1.ExportTrainingKeysResponse",
            ".latchkey.keys.v1.EventKeyOwnCode",
            ".latchkey.keys.v1.AddOwnPoolKeysRequest",
            ".latchkey.keys.v1.AddOwnSubscriptionKeysRequest",
        ])
        .compile_fds(compiler.file_descriptor_set())?;

    prost_protovalidate_build::Builder::new()
        .file_descriptor_set_path(&descriptors)?
        .fail_on_runtime_only(true)
        .compile()?;
    Ok(())
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
