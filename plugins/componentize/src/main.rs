//! Turns a guest's core module into a component: `componentize GUEST OUT NAME VERSION`.
//! What the compiler made a component of already only gets the metadata.
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

/// How a component's file begins: magic, version 13, layer 1.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [guest, out, name, version] = arguments.as_slice() else {
        return Err("usage: componentize GUEST OUT NAME VERSION".into());
    };
    let component = encode(fs::read(guest)?, name, version)?;
    fs::write(Path::new(out), component)?;
    Ok(())
}

/// The component in or around `guest`, with its metadata.
fn encode(guest: Vec<u8>, name: &str, version: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let component = if guest.starts_with(&COMPONENT) {
        guest
    } else {
        ComponentEncoder::default().module(&guest)?.validate(true).encode()?
    };
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(name.to_owned());
    let mut component = metadata.to_wasm(&component)?;
    // wasm-metadata writes the version only together with a tree of further
    // crates; the section is the plain text under this name.
    let section = CustomSection { name: "version".into(), data: Cow::Borrowed(version.as_bytes()) };
    section.append_to_component(&mut component);
    Ok(component)
}
