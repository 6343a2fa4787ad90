//! Tells cargo that the crate embeds its migrations, so that a new file leads to a new build.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
