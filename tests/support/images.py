"""Base images for the tests, made of this machine's own Debian packages: no registry can be reached where they run.

Each is one layer of files in the archive format of `docker save`, which every engine loads. They are kept on disk under names
that change with this file and with the programs in them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PREFIX = "gitdeploy-test"

BUSYBOX = Path("/bin/busybox")
HAPROXY = Path("/usr/sbin/haproxy")
NGINX = Path("/usr/sbin/nginx")
GIT = Path("/usr/bin/git")
PYTHON = Path("/usr/bin/python3").resolve()  # Debian's, for example /usr/bin/python3.11
PYTHON_PACKAGES = (f"{PYTHON.name}-minimal", f"lib{PYTHON.name}-minimal", f"lib{PYTHON.name}-stdlib")
PYTHON_LEAVES_OUT = (
    *("/idlelib/", "/lib2to3/", "/distutils/", "/pydoc_data/", "/unittest/", "/turtle", "/share/"),
    *("_codecs_", "/_test", "/_curses", "/_dbm.", "/nis.", "/readline."),  # compiled ones; the last four bring large libraries
)
GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
haproxy:x:99:99:haproxy:/var/lib/haproxy:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = "root:x:0:\nhaproxy:x:99:\nnogroup:x:65534:\n"

# As in the official haproxy images (docker-library/haproxy): master-worker mode in the foreground.
HAPROXY_ENTRYPOINT = """\
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi
if [ "$1" = haproxy ]; then shift; set -- haproxy -W -db "$@"; fi
exec "$@"
"""


@dataclass(frozen=True)
class BaseImages:
    """References of the loaded images.

    Attributes:
        busybox: busybox with all its applets in /bin.
        python: Debian's python3 without its rarer modules, and busybox.
        haproxy: shaped like the official haproxy image, and busybox.
    """

    busybox: str = f"{PREFIX}/busybox:1"
    python: str = f"{PREFIX}/python:1"
    haproxy: str = f"{PREFIX}/haproxy:1"

    def all(self) -> tuple[str, str, str]:
        """All three references."""
        return (self.busybox, self.python, self.haproxy)


@dataclass
class Root:
    """The files of an image: path in the image → (mode, content), a path of this machine as content is copied from there."""

    files: dict[str, tuple[int, bytes | Path]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: dict[str, tuple[int, int]] = field(default_factory=dict)

    def copy(self, source: Path, target: str = "") -> None:
        """Adds a file of this machine under its own path or `target`."""
        self.files[target or str(source)] = (source.stat().st_mode & 0o777, source)

    def copy_program(self, source: Path, target: str = "") -> None:
        """Adds a program and the shared libraries it loads."""
        self.copy(source, target)
        for library in shared_libraries(source):
            self.copy(library)

    def tar(self) -> bytes:
        """All of it as a tar file."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, (mode, owner) in sorted(self.directories.items()):
                entry = _entry(path, mode, tarfile.DIRTYPE)
                entry.uid = entry.gid = owner
                archive.addfile(entry)
            for path, (mode, content) in sorted(self.files.items()):
                entry = _entry(path, mode, tarfile.REGTYPE)
                if isinstance(content, Path):
                    entry.mtime = int(content.stat().st_mtime)  # compiled modules are valid for one mtime of their source
                data = content.read_bytes() if isinstance(content, Path) else content
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            for path, destination in sorted(self.links.items()):
                entry = _entry(path, 0o777, tarfile.SYMTYPE)
                entry.linkname = destination
                archive.addfile(entry)
        return buffer.getvalue()


def busybox_root() -> Root:
    """Busybox, a shell, and what programs expect of a root directory."""
    root = Root()
    root.copy_program(BUSYBOX)
    for applet in _output("busybox", "--list").split():
        root.links[f"/bin/{applet}"] = "busybox"
    del root.links["/bin/busybox"]
    root.directories = {"/tmp": (0o1777, 0), "/root": (0o700, 0)}
    root.files["/etc/passwd"] = (0o644, PASSWD.encode())
    root.files["/etc/group"] = (0o644, GROUP.encode())
    return root


def python_root(*, tests: bool = False) -> Root:
    """Debian's python3 (never one of pyenv or a virtual environment) with compiled modules, on top of busybox.

    `tests` adds the module unittest.
    """
    root = busybox_root()
    leaves_out = tuple(part for part in PYTHON_LEAVES_OUT if not (tests and part == "/unittest/"))
    for name in _output("dpkg", "-L", *PYTHON_PACKAGES).splitlines():
        path = Path(name)
        if path.is_symlink() or not path.is_file() or any(part in name for part in leaves_out):
            continue
        root.copy(path)
        if path.suffix == ".so":
            root.copy_program(path)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"):
            if path.suffix == ".py" and ".opt-" not in compiled.name:
                root.copy(compiled)
    root.copy_program(PYTHON)
    root.links.update({"/usr/bin/python3": PYTHON.name, "/usr/bin/python": PYTHON.name})
    return root


def haproxy_root() -> Root:
    """Debian's haproxy at the places of the official image, on top of busybox."""
    root = busybox_root()
    root.copy_program(HAPROXY, "/usr/local/sbin/haproxy")
    root.directories |= {"/var/lib/haproxy": (0o755, 99), "/usr/local/etc/haproxy": (0o755, 0), "/run": (0o755, 0)}
    root.files["/usr/local/bin/docker-entrypoint.sh"] = (0o755, HAPROXY_ENTRYPOINT.encode())
    return root


def nginx_root() -> Root:
    """Debian's nginx on top of busybox; it serves /srv on port 80."""
    root = busybox_root()
    root.copy_program(NGINX)
    serve = "events {} http { access_log off; server { listen 80; root /srv; } }\n"
    root.files["/etc/nginx/nginx.conf"] = (0o644, f"daemon off; error_log stderr; user nobody nogroup; {serve}".encode())
    root.directories |= {"/var/lib/nginx": (0o755, 0), "/var/log/nginx": (0o755, 0), "/run": (0o755, 0)}
    return root


def gogs_root(binary: Path, libraries: Iterable[Path] = (), place: str = "/app/gogs/gogs") -> Root:
    """What Gogs' official images have and gitdeploy's hook meets there: a shell, git, its binary, user git, no Python."""
    root = busybox_root()
    core = Path(_output("git", "--exec-path").strip())
    root.copy_program(GIT)
    root.copy_program(Path("/usr/bin/ssh-keygen"))  # for the keys of Gogs' own SSH server
    for name in ("git", "git-receive-pack", "git-upload-pack", "git-upload-archive"):
        root.links[str(core / name)] = str(GIT)
        root.links.setdefault(f"/bin/{name}", str(GIT))
    for library in libraries:
        root.copy(library)
    root.copy(binary, place)
    root.links |= {"/usr/bin/env": "/bin/busybox", "/home/git": "/data/git"}
    root.directories |= {"/app/gogs": (0o755, 1000), "/data": (0o755, 1000)}
    root.directories["/usr/share/git-core/templates/hooks"] = (0o755, 0)  # of git's own template, Gogs needs this
    root.files["/etc/passwd"] = (0o644, f"{PASSWD}git:x:1000:1000:Gogs Git User:/data/git:/bin/sh\n".encode())
    root.files["/etc/group"] = (0o644, f"{GROUP}git:x:1000:\n".encode())
    return root


RECIPES: dict[str, tuple[Callable[[], Root], Mapping[str, object]]] = {
    "busybox": (busybox_root, {"Cmd": ["sh"]}),
    "python": (python_root, {"Cmd": ["python3"]}),
    "haproxy": (
        haproxy_root,
        {
            "User": "haproxy",
            "WorkingDir": "/var/lib/haproxy",
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            "StopSignal": "SIGUSR1",
        },
    ),
}


def archive(name: str, cache_directory: Path) -> Path:
    """The archive of the base image of that name, for `docker load`; made if the cache has none of these programs."""
    recipe, config = RECIPES[name]
    programs = [(path.stat().st_size, path.stat().st_mtime_ns) for path in (BUSYBOX, PYTHON, HAPROXY)]
    key = hashlib.sha256(Path(__file__).read_bytes() + repr(programs).encode()).hexdigest()[:12]
    path = cache_directory / f"{name}-{key}.tar"
    if not path.exists():
        cache_directory.mkdir(parents=True, exist_ok=True)
        outdated = set(cache_directory.glob(f"{name}-*.tar")) - {path}
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(image_archive(f"{PREFIX}/{name}:1", recipe().tar(), config))
        unfinished.rename(path)
        for old in outdated:
            old.unlink(missing_ok=True)
    return path


def image_archive(reference: str, layer: bytes, config: Mapping[str, object]) -> bytes:
    """An image of one layer as `docker load` takes it.

    `config` is the container config of the OCI image format (Cmd, User, …). The format: Docker Image Specification v1.2.
    """
    image = {
        "architecture": GOARCH[platform.machine()],
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "tests/support/images.py"}],
    }
    members = {
        "config.json": json.dumps(image).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as outer:
        for name, content in members.items():
            entry = _entry(name, 0o644, tarfile.REGTYPE)
            entry.size = len(content)
            outer.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@cache
def shared_libraries(program: Path) -> Iterable[Path]:
    """The shared libraries and the loader of a program, from `ldd`; none for a static one."""
    listing = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    return tuple(Path(word) for word in listing.split() if word.startswith("/"))


def _entry(path: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode = mode
    entry.type = kind
    return entry


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
