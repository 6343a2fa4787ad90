//! That `docs/domain.md` names exactly the deeds by which audit trails are filtered.

use std::collections::BTreeSet;

use regex::Regex;

use crate::source::{Finding, Source};

const PAGE: &str = "docs/domain.md";
/// How the paragraph begins that names them.
const LIST: &str = "Deeds are named after";

/// Deeds that stand on the page and not in `code`, or the reverse. `code`: where the services name their deeds.
pub(crate) fn unlisted(page: &str, code: &[Source]) -> Vec<Finding> {
    let list = page
        .split("\n\n")
        .find(|paragraph| paragraph.starts_with(LIST));
    let listed = names(r"`([a-z_]+\.[a-z_]+)`", list);
    let texts = code.iter().map(|source| source.text.as_str());
    let named = names(r#"=> "([a-z_]+\.[a-z_]+)""#, texts);
    let one_sided = listed.symmetric_difference(&named);
    one_sided
        .map(|name| {
            Finding::new(
                PAGE,
                1,
                format!("`{name}` is only here or only in the code"),
            )
        })
        .collect()
}

fn names<'t>(pattern: &str, texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<&'t str> {
    let pattern = Regex::new(pattern).expect("a pattern");
    let found = |text| pattern.captures_iter(text);
    let found = texts.into_iter().flat_map(found);
    found.filter_map(|one| Some(one.get(1)?.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_and_code_name_the_same_deeds() {
        let code = [Source::sample("a.rs", "Self::Do => \"thing.do\",")];
        let page = |names: &str| format!("# Audit\n\n{LIST} it: {names}.\n\n`no.deed`\n");
        assert_eq!(unlisted(&page("`thing.do`"), &code).len(), 0);
        assert_eq!(unlisted(&page("none"), &code).len(), 1, "new");
        assert_eq!(
            unlisted(&page("`thing.do`, `thing.undo`"), &code).len(),
            1,
            "gone"
        );
    }
}
