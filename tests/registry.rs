//! The approved access registry from outside: what people give, what they are told.

use std::fs;
use std::path::Path;

use jiebei::registry::{self, Loaded, ReadOptions, Refused};
use jiebei::texts::{Language, Texts};

fn read(path: impl AsRef<Path>) -> Result<Loaded, Refused> {
    let today = "2026-11-22".parse().unwrap();
    registry::read(path.as_ref().to_str().unwrap(), &ReadOptions::on(today))
}

/// The registry, or a panic that shows what is wrong with it.
fn whole(path: impl AsRef<Path>) -> Loaded {
    read(path).unwrap_or_else(|refused| {
        panic!("{}", registry::draw(&refused.faults, &Texts::of(Language::En), 120))
    })
}

#[test]
fn the_template_is_a_registry_without_fault_in_every_format() {
    for language in Language::ALL {
        let dir = tempfile::tempdir().unwrap();
        registry::template(dir.path(), language).unwrap();
        let folder = whole(dir.path());
        assert_eq!(folder.warnings, []);
        for file in ["registry.xlsx", "registry.json"] {
            let other = whole(dir.path().join(file));
            assert_eq!(other.warnings, []);
            assert_eq!(other.registry, folder.registry, "{file}");
        }
        assert!(fs::read_to_string(dir.path().join("README.md")).unwrap().contains("valid_until"));
    }
}
