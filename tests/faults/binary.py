"""Where cargo puts what it builds: the directory is named after the target."""
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def built(name):
    """The newest release build of a binary (or `examples/NAME`), or the way to have one."""
    target = os.environ.get("CARGO_TARGET_DIR", ROOT + "/target")
    found = glob.glob("%s/*/release/%s" % (target, name)) + glob.glob("%s/release/%s" % (target, name))
    if not found:
        sys.exit("no %s in %s: cargo build --release --all-targets" % (name, target))
    return max(found, key=os.path.getmtime)
