# List the chores
default:
    @just --list

# All that CI does
check:
    bash .ci/run

# The tests alone
test *ARGS:
    cargo test {{ARGS}}

# Draw the pictures of the README anew
pictures:
    PERFTOP_PICTURES=1 cargo test --test screens pictures_of_the_readme

# Take the changed screens over
bless:
    INSTA_UPDATE=always cargo test --test screens
    PERFTOP_BLESS=1 cargo test --test tidy

# Inject real faults (root)
faults *ARGS:
    tests/faults/run host {{ARGS}}

# Fuzz every parser (cargo-fuzz)
fuzz SECONDS="60":
    fuzz/run {{SECONDS}}

# perftop beside btop, htop and bottom
overhead *ARGS:
    tests/bench/overhead {{ARGS}}
