//! The files of a crate, and which file a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Mention, Source};

/// A module, by its names from the root of the crate.
pub(crate) type Module = Vec<String>;

/// Names that lead to names that lead to names: no more than so many.
const DEPTH: usize = 8;

/// The sources of a crate.
pub(crate) struct Tree {
    /// What the crate is called in its own binary.
    name: String,
    /// By their paths under `src`.
    pub(crate) files: BTreeMap<String, Source>,
    modules: BTreeMap<Module, String>,
    inline: BTreeSet<Module>,
    /// Every `use`, by the module it stands in and the name it makes.
    bound: BTreeMap<(Module, String), Vec<Mention>>,
    /// Modules that exist for tests only.
    tests: BTreeSet<Module>,
}

/// One file's need of another.
pub(crate) struct Need {
    /// The file that a path leads to.
    pub(crate) file: String,
    /// The path as it is written, from the root of the crate; none if it begins with a name made by a `use`.
    pub(crate) written: Option<Module>,
}

impl Tree {
    /// Reads files, by their paths under `src`.
    pub(crate) fn of(name: &str, texts: &BTreeMap<String, String>) -> Self {
        let mut tree = Self {
            name: name.to_owned(),
            files: texts.iter().map(|(path, text)| (path.clone(), Source::of(text))).collect(),
            modules: BTreeMap::new(),
            inline: BTreeSet::new(),
            bound: BTreeMap::new(),
            tests: BTreeSet::new(),
        };
        for (path, source) in &tree.files {
            let module = module(path);
            for inner in &source.inline {
                tree.inline.insert([module.clone(), inner.clone()].concat());
            }
            for child in &source.test_children {
                tree.tests.insert([module.clone(), vec![child.clone()]].concat());
            }
            for mention in &source.mentions {
                let Some(name) = &mention.bound else { continue };
                let place = [module.clone(), mention.inside.clone()].concat();
                tree.bound.entry((place, name.clone())).or_default().push(mention.clone());
            }
            if path != "main.rs" {
                tree.modules.insert(module, path.clone());
            }
        }
        tree
    }

    /// Whether a file exists for tests only: it is in `tests` or `testing`, or declared for tests.
    pub(crate) fn is_test(&self, path: &str) -> bool {
        let module = module(path);
        let named = |name: &String| name == "tests" || name == "testing";
        module.iter().any(named) || self.tests.iter().any(|test| module.starts_with(test))
    }

    /// The file in the crate that a mention leads to.
    pub(crate) fn need(&self, path: &str, mention: &Mention) -> Option<Need> {
        let place = [module(path), mention.inside.clone()].concat();
        let file = self.file(&place, &mention.path, 0)?;
        Some(Need { file, written: self.absolute(&place, &mention.path) })
    }

    fn is_module(&self, module: &[String]) -> bool {
        self.modules.contains_key(module) || self.inline.contains(module)
    }

    /// From the root of the crate, if the path begins at a module of the crate.
    fn absolute(&self, place: &[String], path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => self.absolute_or_all(place, rest),
            "super" => self.absolute_or_all(place.split_last()?.1, rest),
            name if name == self.name => Some(rest.to_vec()),
            _ => {
                let here = [place, path].concat();
                self.is_module(&here[..=place.len()]).then_some(here)
            }
        }
    }

    /// The rest of a path that has begun with `self` or `super`.
    fn absolute_or_all(&self, place: &[String], rest: &[String]) -> Option<Module> {
        match rest.first().map(String::as_str) {
            Some("super") => self.absolute(place, rest),
            _ => Some([place, rest].concat()),
        }
    }

    /// The file a path leads to: through modules as far as they go, then through a `use` of the name.
    fn file(&self, place: &[String], path: &[String], depth: usize) -> Option<String> {
        if depth > DEPTH {
            return None;
        }
        let Some(absolute) = self.absolute(place, path) else {
            let (first, rest) = path.split_first()?;
            return self.through(place, first, rest, depth);
        };
        let modules =
            (0..=absolute.len()).take_while(|&n| n == 0 || self.is_module(&absolute[..n])).last()?;
        let (reached, items) = absolute.split_at(modules);
        items
            .split_first()
            .and_then(|(name, rest)| self.through(reached, name, rest, depth))
            .or_else(|| self.owner(reached))
    }

    /// The file that a name made by a `use` leads to.
    fn through(&self, place: &[String], name: &str, rest: &[String], depth: usize) -> Option<String> {
        let uses = self.bound.get(&(place.to_vec(), name.to_owned()))?;
        uses.iter().find_map(|mention| {
            let path = [mention.path.clone(), rest.to_vec()].concat();
            // `use name::name` in the module of that name would lead here again.
            if path == [vec![name.to_owned()], rest.to_vec()].concat() {
                return None;
            }
            self.file(place, &path, depth + 1)
        })
    }

    /// The file a module is written in.
    fn owner(&self, module: &[String]) -> Option<String> {
        (0..=module.len()).rev().find_map(|n| self.modules.get(&module[..n])).cloned()
    }
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` and `main.rs` the root.
pub(crate) fn module(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}
