//! What a component says about itself in its custom sections.

use wasmparser::{ComponentName, KnownCustom, Parser, Payload};

use super::error::Identity;
use super::text;

/// Longest name or version that is shown, in characters.
const SHOWN: usize = 64;

/// The component's own name and version beside its digest. Bytes that cannot be
/// parsed have neither; what is wrong with them is the compiler's to say.
pub(super) fn identity(bytes: &[u8], digest: &str) -> Identity {
    let mut identity = Identity { digest: digest.to_owned(), ..Identity::default() };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) if depth == 0 => match section.as_known() {
                KnownCustom::ComponentName(names) => {
                    for name in names.into_iter().flatten() {
                        if let ComponentName::Component { name, .. } = name {
                            identity.name = Some(text::shown(name, SHOWN));
                        }
                    }
                }
                _ if section.name() == "version" => {
                    let version = std::str::from_utf8(section.data()).ok();
                    identity.version = version.map(|version| text::shown(version, SHOWN));
                }
                _ => {}
            },
            Ok(_) => {}
            Err(_) => break,
        }
    }
    identity
}
