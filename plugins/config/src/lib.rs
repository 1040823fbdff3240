//! How the built-in policies read their config. A crate of its own, as the bindings of two
//! kinds must not meet in one component.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Accepts the config of a policy that has none: `{}`, or nothing at all.
///
/// The error says what is wrong and what would be right; `policy` is the name to
/// put into it.
pub fn none(policy: &str, config: &str) -> Result<(), String> {
    let inside = config.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if matches!(config.trim(), "" | "null") || inside.is_some_and(|inside| inside.trim().is_empty())
    {
        return Ok(());
    }
    Err(format!(
        "the policy `{policy}` has no settings, so its `config` must be empty: remove it or write `config: {{}}`"
    ))
}

/// The settings of a policy that has some; nothing at all is read as `{}`.
///
/// The error says what is wrong and what would be right, for which it takes `example`.
pub fn read<Settings: DeserializeOwned>(config: &str, example: &str) -> Result<Settings, String> {
    parse(config).map_err(|why| format!("{why}; write for example `config: {example}`"))
}

/// By way of a value, so that an error names no line and column: the JSON is the
/// host's, and the user wrote YAML.
fn parse<Settings: DeserializeOwned>(config: &str) -> Result<Settings, String> {
    let config = if matches!(config.trim(), "" | "null") { "{}" } else { config };
    let value = serde_json::from_str(config).map_err(|error| error.to_string())?;
    let settings = match value {
        Value::Object(_) => serde_json::from_value(value),
        _ => return Err(format!("`{value}` is no map of settings")),
    };
    settings.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        most: u32,
    }

    fn most(config: &str) -> Result<u32, String> {
        super::read::<Settings>(config, "{most: 3}").map(|settings| settings.most)
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_is_right() {
        assert_eq!(most(r#"{"most": 2}"#), Ok(2));
        for nothing in ["", "null", " {} "] {
            assert_eq!(most(nothing), Ok(0), "{nothing:?}");
        }
        for (config, wrong) in [
            (r#"{"least": 2}"#, "unknown field `least`, expected `most`"),
            (r#"{"most": -1}"#, "invalid value: integer `-1`, expected u32"),
            ("[2]", "`[2]` is no map of settings"),
        ] {
            let right = "; write for example `config: {most: 3}`";
            assert_eq!(most(config), Err(format!("{wrong}{right}")));
        }
    }
}
