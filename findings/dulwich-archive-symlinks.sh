#!/bin/sh
# dulwich 1.2.21: `archive.tar_stream` makes a symlink of a tree a regular file that nobody may read.
#
# Guess: the tar has what `git archive` puts into one: a symlink as a symlink, an empty directory for a submodule.
# Found (dulwich 1.2.21 from PyPI, Python 3.11), for a tree with `current -> release.txt`, `release.txt`, a submodule `lib` and `dir/x`:
#
#     current file mode=0o0 content=release.txt
#     dir/x file mode=0o644 content=hello
#     release.txt file mode=0o644 content=hello
#
# The link's target is the file's content, its mode is 0: unpacked by root it looks like a file of eleven bytes, by anybody else it can
# be written and not be read. The submodule is not there at all, while `git archive` leaves an empty directory.
#
# Needs: python3 with venv, and PyPI. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install dulwich==1.2.21

cat >"$work/look.py" <<'PYTHON'
import io
import tarfile

from dulwich.archive import tar_stream
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Tree

store = MemoryObjectStore()
target, text, below, tree = Blob.from_string(b"release.txt"), Blob.from_string(b"hello\n"), Tree(), Tree()
below.add(b"x", 0o100644, text.id)
tree.add(b"current", 0o120000, target.id)
tree.add(b"release.txt", 0o100644, text.id)
tree.add(b"dir", 0o40000, below.id)
tree.add(b"lib", 0o160000, b"a" * 40)
for made in (target, text, below, tree):
    store.add_object(made)
with tarfile.open(fileobj=io.BytesIO(b"".join(tar_stream(store, tree, mtime=0)))) as tar:
    for entry in sorted(tar, key=lambda member: member.name):
        kind = "file" if entry.isreg() else "symlink" if entry.issym() else "other"
        content = tar.extractfile(entry).read().decode().strip() if entry.isreg() else entry.linkname
        print(f"{entry.name} {kind} mode={oct(entry.mode)} content={content}")
PYTHON
"$work/venv/bin/python" "$work/look.py" | tee "$work/found"

cat >"$work/expected" <<'END'
current file mode=0o0 content=release.txt
dir/x file mode=0o644 content=hello
release.txt file mode=0o644 content=hello
END
diff "$work/expected" "$work/found" || { echo "changed: see the head of this file" >&2; exit 1; }
