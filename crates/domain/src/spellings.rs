//! Finds stored things by names that people typed. The same letters may be other bytes: `é` is one character or two.

use std::collections::HashMap;

use crate::text::normalized;

/// A thing that has a name, and is in use or retired.
pub trait Named {
    /// Its name as it was typed.
    fn name(&self) -> &str;
    /// Whether it is retired.
    fn is_retired(&self) -> bool;
}

/// Things by normalized name. Earlier releases compared bytes, so several things may have the same normalized name.
pub struct Spellings<T>(HashMap<String, Vec<T>>);

impl<T: Named> Spellings<T> {
    /// Groups things by their normalized names.
    pub fn new(things: impl IntoIterator<Item = T>) -> Self {
        let mut by_letters: HashMap<String, Vec<T>> = HashMap::new();
        for thing in things {
            by_letters.entry(normalized(thing.name()).into_owned()).or_default().push(thing);
        }
        Self(by_letters)
    }

    /// The thing with this name. Of several, one in use is preferred, then the one with this spelling.
    pub fn get(&self, name: &str) -> Option<&T> {
        let things = self.0.get(&*normalized(name))?;
        // The name comes last, so that every run takes the same thing.
        things.iter().min_by_key(|thing| (thing.is_retired(), thing.name() != name, thing.name()))
    }

    /// All things, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, bool);

    impl Named for Thing {
        fn name(&self) -> &str {
            self.0
        }

        fn is_retired(&self) -> bool {
            self.1
        }
    }

    const ONE: &str = "Caf\u{e9}";
    const TWO: &str = "Cafe\u{301}";

    #[test]
    fn a_name_means_one_thing_however_it_is_spelled() {
        for (things, name, expected) in [
            (&[(ONE, false)][..], ONE, Some(ONE)),
            (&[(ONE, false)], TWO, Some(ONE)),
            (&[(TWO, true)], ONE, Some(TWO)),
            (&[(ONE, false), (TWO, false)], ONE, Some(ONE)),
            (&[(ONE, false), (TWO, false)], TWO, Some(TWO)),
            (&[(ONE, true), (TWO, true)], TWO, Some(TWO)),
            (&[(ONE, true), (TWO, false)], ONE, Some(TWO)),
            (&[("\u{212b}l", false), ("\u{c5}l", false)], "A\u{30a}l", Some("\u{c5}l")),
            (&[(ONE, false)], "Cafe", None),
            (&[(ONE, false)], "CAFÉ", None),
        ] {
            let spellings = Spellings::new(things.iter().map(|(name, is_retired)| Thing(name, *is_retired)));
            assert_eq!(spellings.get(name).map(Named::name), expected, "{things:?} {name:?}");
        }
    }
}
