//! Turns a guest's core module into a component: `componentize CORE OUT NAME VERSION`.
//!
//! The work of `wasm-tools component new`, as a library call, so that nobody has
//! to install that tool. The name and the version become metadata that the host
//! quotes when it names a policy.

use std::borrow::Cow;
use std::error::Error;
use std::path::Path;
use std::{env, fs};

use wasm_encoder::{ComponentSection, CustomSection};
use wasm_metadata::{AddMetadata, AddMetadataField};
use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [core, out, name, version] = arguments.as_slice() else {
        return Err("usage: componentize CORE OUT NAME VERSION".into());
    };
    let component = encode(&fs::read(core)?, name, version)?;
    fs::write(Path::new(out), component)?;
    Ok(())
}

/// The validated component around `core`, with its metadata.
fn encode(core: &[u8], name: &str, version: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let component = ComponentEncoder::default().module(core)?.validate(true).encode()?;
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(name.to_owned());
    let mut component = metadata.to_wasm(&component)?;
    // wasm-metadata writes the version only together with a tree of further
    // crates; the section is the plain text under this name.
    let section = CustomSection { name: "version".into(), data: Cow::Borrowed(version.as_bytes()) };
    section.append_to_component(&mut component);
    Ok(component)
}
