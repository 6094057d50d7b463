#!/bin/sh
# dulwich 1.2.21: making a `ReftableRefsContainer`, even to read only, writes: it removes refs/heads with the branches in it.
#
# Guess: a refs container is a view; whoever makes the wrong one for a repository finds no refs in it, and closes it again. That is
# what the container for files does with a repository whose refs are in tables.
# Found (dulwich 1.2.21 from PyPI, Python 3.11): the constructor makes the repository one of tables. In a repository with one branch
# in a file, the constructor alone leaves
#
#     gone: refs/heads/main
#     new: reftable
#     refs/heads: this repository uses the reftable format
#     refs:
#
# that is, no ref at all. So look at extensions.refStorage first, and read untrusted repositories as a user who may not write them.
#
# Needs: python3 with venv, and PyPI. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install dulwich==1.2.21

cat >"$work/look.py" <<'PYTHON'
import sys
from pathlib import Path

from dulwich.reftable import ReftableRefsContainer
from dulwich.repo import Repo

path = Path(sys.argv[1])
repo = Repo.init_bare(path, mkdir=True)
repo.refs[b"refs/heads/main"] = b"1" * 40
repo.close()


def files() -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*")}


before = files()
refs = ReftableRefsContainer(str(path))
after = files()
print("gone:", *sorted(before - after))
print("new:", *sorted(after - before))
print("refs/heads:", (path / "refs" / "heads").read_text().strip())
print("refs:", *sorted(refs.allkeys()))
PYTHON
"$work/venv/bin/python" "$work/look.py" "$work/x.git" >"$work/found"

cat >"$work/expected" <<'TEXT'
gone: refs/heads/main
new: reftable
refs/heads: this repository uses the reftable format
refs:
TEXT
diff "$work/expected" "$work/found" && echo 'still so'
