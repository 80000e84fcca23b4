//! The stores that a target's configuration names for new pools.

use std::collections::BTreeSet;

/// What stands for a number in the name of a store.
const NUMBER: &str = "{}";

/// The store of that number, if `uris` name so many: first those that are whole, then one with `{}` in it, which stands
/// for as many as are needed.
pub(crate) fn store(uris: &[String], number: usize) -> Option<String> {
    let is_template = |uri: &&String| uri.contains(NUMBER);
    let mut named = uris.iter().filter(|uri| !is_template(uri));
    let template = || uris.iter().find(is_template);
    let drawn = || Some(template()?.replace(NUMBER, &number.to_string()));
    named.nth(number).cloned().or_else(drawn)
}

/// All of them that are not `taken`, one after the other: without end, if one has `{}` in it.
pub(crate) fn spare_stores(
    uris: &[String],
    taken: BTreeSet<String>,
) -> impl Iterator<Item = String> {
    let all = (0..).map_while(|number| store(uris, number));
    all.filter(move |uri| !taken.contains(uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(uris: &[&str], taken: &[&str]) -> Vec<String> {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        let taken = taken.iter().map(|uri| (*uri).to_owned()).collect();
        spare_stores(&uris, taken).take(3).collect()
    }

    #[test]
    fn whole_names_come_first_and_a_number_is_drawn_where_one_belongs() {
        assert_eq!(spare(&["r://{}"], &[]), ["r://0", "r://1", "r://2"]);
        assert_eq!(
            spare(&["r://{}", "m://a"], &[]),
            ["m://a", "r://1", "r://2"]
        );
        assert_eq!(spare(&["m://a", "m://b"], &[]), ["m://a", "m://b"]);
        assert!(spare(&[], &[]).is_empty());
    }

    #[test]
    fn stores_that_pools_have_are_passed_over() {
        assert_eq!(
            spare(&["r://{}"], &["r://0", "r://2"]),
            ["r://1", "r://3", "r://4"]
        );
        assert_eq!(spare(&["m://a", "m://b"], &["m://a"]), ["m://b"]);
        assert!(spare(&["m://a"], &["m://a"]).is_empty());
    }
}
