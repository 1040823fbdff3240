//! What a component says about itself, without its being run.

use std::path::Path;

use wasmparser::{ComponentName, KnownCustom, Parser, Payload, ProducersSectionReader};

use super::bindings::PACKAGE;
use super::error::{Failure, Identity};
use super::{KINDS, source, text};

/// Longest name or version that is shown, in characters.
const SHOWN: usize = 64;

/// Longest name of an import or export that is shown, in characters.
const NAME: usize = 200;

/// Most tools that are listed.
const PRODUCERS: usize = 32;

/// What a component's bytes say.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Its name, its version and its digest.
    pub identity: Identity,
    /// The kinds of policies that it exports, whatever the version.
    pub kinds: Vec<&'static str>,
    /// There is no end to it, or nothing that it exports: somebody may be writing it.
    pub(super) is_cut_off: bool,
}

impl Metadata {
    /// Reads a component's file and what it says; gives the bytes too. Blocks.
    ///
    /// # Errors
    ///
    /// Why the file cannot be read.
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>), Failure> {
        let read = source::read_at(path)?;
        Ok((Self::of(&read.bytes, &read.digest), read.bytes))
    }

    /// What the bytes with this digest say. Bytes that cannot be parsed say nothing; what is
    /// wrong with them is the compiler's to say.
    pub(super) fn of(bytes: &[u8], digest: &str) -> Self {
        let mut found = Self::default();
        digest.clone_into(&mut found.identity.digest);
        let (mut depth, mut exports) = (0_u32, 0_u32);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload {
                Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::CustomSection(section)) if depth == 0 => match section.as_known() {
                    KnownCustom::ComponentName(names) => {
                        for name in names.into_iter().flatten() {
                            if let ComponentName::Component { name, .. } = name {
                                found.identity.name = Some(text::shown(name, SHOWN));
                            }
                        }
                    }
                    _ if section.name() == "version" => {
                        let version = std::str::from_utf8(section.data()).ok();
                        let version = version.map(|version| text::shown(version, SHOWN));
                        found.identity.version = version;
                    }
                    _ => {}
                },
                Ok(Payload::ComponentExportSection(section)) if depth == 0 => {
                    for export in section.into_iter().flatten() {
                        exports += 1;
                        let name = export.name.name.strip_prefix(PACKAGE).unwrap_or_default();
                        let name = name.split('@').next().unwrap_or_default();
                        found.kinds.extend(KINDS.iter().filter(|kind| **kind == name));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    found.is_cut_off = error.message().contains("unexpected end");
                    break;
                }
            }
        }
        found.is_cut_off |= exports == 0;
        found
    }
}

/// What a component asks for and offers, and what it was made with.
#[derive(Debug, Default)]
pub(super) struct Surface {
    /// The names of its imports.
    pub(super) imports: Vec<String>,
    /// The names of its exports.
    pub(super) exports: Vec<String>,
    /// Languages and tools, each with its version, as `rustc 1.95.0`.
    pub(super) producers: Vec<String>,
    /// Why it could not be read to its end.
    pub(super) damage: Option<String>,
}

/// The surface of these bytes, as far as they can be read.
pub(super) fn surface(bytes: &[u8]) -> Surface {
    let mut surface = Surface::default();
    if let Err(error) = read_surface(bytes, &mut surface) {
        surface.damage = Some(text::shown(&error.to_string(), text::SAID));
    }
    surface
}

fn read_surface(bytes: &[u8], surface: &mut Surface) -> wasmparser::Result<()> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    surface.imports.push(text::shown(import?.name.name, NAME));
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    surface.exports.push(text::shown(export?.name.name, NAME));
                }
            }
            // At any depth: a language's compiler says it of the module that it made.
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(producers) = section.as_known() {
                    // What a tool writes of itself breaks nothing where it is damaged.
                    let _ = read_producers(producers, &mut surface.producers);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_producers(
    section: ProducersSectionReader,
    all: &mut Vec<String>,
) -> wasmparser::Result<()> {
    for field in section {
        for value in field?.values {
            let value = value?;
            let shown = format!("{} {}", value.name, value.version);
            let shown = text::shown(shown.trim(), SHOWN);
            if !shown.is_empty() && !all.contains(&shown) && all.len() < PRODUCERS {
                all.push(shown);
            }
        }
    }
    Ok(())
}
