# List the chores
default:
    @just --list

# All that CI does
check:
    bash .ci/run

# What needs no server and takes less than a minute once it is built: unit tests, recorded cases, screens, the house's own order
test:
    cargo test --lib --test cases --test screens --test tidy --test harm --test fixes --test schema --test copying

# All tests, with servers; ARGS go to cargo test
test-all *ARGS:
    bash tests/run {{ARGS}}

# Redraw the pictures of the README
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
