//! (This is `docs/policies.md`; its links begin there.)
//!
#![doc = include_str!("../../docs/policies.md")]

#[cfg(test)]
mod tests {
    use super::super::limits::{self, Limits};
    use super::super::{pieces, prompt};

    const GUIDE: &str = include_str!("../../docs/policies.md");

    /// The rows of the table with this head: their cells.
    fn table(head: &str) -> Vec<Vec<&'static str>> {
        let rows = GUIDE.split(head).nth(1).expect("the table").lines().skip(2);
        let rows = rows.take_while(|row| row.starts_with('|'));
        rows.map(|row| row.split('|').map(str::trim).collect()).collect()
    }

    #[test]
    fn its_limits_are_the_defaults() {
        let defaults = serde_json::to_value(Limits::default()).expect("the limits");
        let mut told = serde_json::Map::new();
        for row in table("| limit | default | from, to | |") {
            let value = row[2].parse::<u64>().expect("a number");
            told.insert(row[1].trim_matches('`').to_owned(), value.into());
        }
        assert_eq!(serde_json::Value::Object(told), defaults);
    }

    #[test]
    fn its_bounds_are_those_that_are_kept() {
        let kib = |bytes: usize| format!("{} KiB", bytes >> 10);
        let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
        let component = usize::try_from(limits::COMPONENT_BYTES).expect("a size");
        let bounds = [
            ("config", kib(limits::CONFIG_BYTES)),
            ("component file", mib(component)),
            ("stack", mib(limits::STACK_BYTES)),
            ("tables", format!("{} entries", limits::TABLE_ENTRIES)),
            ("handles", limits::HANDLES.to_string()),
            ("memories, tables, instances", format!("{} of each", limits::INSTANCES)),
            ("system prompt", kib(prompt::SYSTEM_BYTES)),
            ("parsed answer", mib(prompt::PARSED_BYTES)),
            ("text put together from pieces", mib(pieces::JOINED_BYTES)),
            ("project: a file", mib(limits::PROJECT_FILE_BYTES)),
            ("project: all files of a call", mib(limits::PROJECT_BYTES)),
            ("project: entries listed in a call", limits::PROJECT_ENTRIES.to_string()),
        ];
        let told: Vec<_> =
            table("| bound | |").iter().map(|row| (row[1], row[2].to_owned())).collect();
        assert_eq!(told, bounds);
    }
}
