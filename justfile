# What one does here often. `.ci/run` is what must pass.

# Lists these.
default:
    @just --list

# Everything that must hold before a change is taken.
check:
    .ci/run

# Repairs what can be repaired by itself.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# A node with example data.
demo:
    cargo run --release -- demo

# What the log and the item stores do in a second on this disk.
bench:
    cargo bench --bench log_append
    cargo bench --bench items
