# Thin on purpose: what a recipe does stands in the script that it calls.

# List the recipes
default:
    @just --list

# Every test
test *args:
    scripts/test {{args}}

# Everything that must pass before a change lands
ci:
    .ci/run

# The demo CRM with Lockkeeper in front of it
demo *args:
    cargo run --release -- demo {{args}}

# Format and lints
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets --all-features -- -D warnings

# Known vulnerabilities of dependencies; fetches the advisory database, so it is not part of ci
advisories:
    cargo deny check advisories
