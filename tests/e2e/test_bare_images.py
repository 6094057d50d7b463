"""Images with one program and nothing else, and images of another processor: nothing is asked of a shell that there is not."""

from __future__ import annotations

import struct
from itertools import product

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.images import BaseImages
from tests.support.net import get
from tests.support.params import sample

SERVE = 'CMD ["/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]\n'
QUICK = 'health = { start_period = "2s", interval = "200ms", retries = 2 }\n'

# ELF's header and one program header of a program for 64-bit ARM (elf(5)); nothing of it is ever run.
ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 0xB7, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
ARM += struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 4096)


def bare(end: str) -> dict[str, str | bytes | None]:
    """A tree whose image has one static program, without a shell."""
    begin = "FROM gitdeploy-test/busybox:1 AS made\nFROM scratch\nCOPY --from=made /bin/busybox /busybox\n"
    return {"Dockerfile": f"{begin}COPY VERSION /www/index.html\nEXPOSE 80\nSTOPSIGNAL SIGKILL\n{end}"}


@pytest.mark.parametrize(
    ("strategy", "check"),
    sample(product(["recreate", "blue-green"], ["", 'path = "/"', "image"]), ("recreate", "image"), ("blue-green", "")),
)
def test_it_is_deployed_and_rolled_back(app: Deployable, base_images: BaseImages, strategy: str, check: str) -> None:
    router = f'router = {{ image = "{base_images.haproxy}", drain_timeout = "1s" }}\n'
    health = f"health = {{ {check} }}\n" if "path" in check else ""
    app.site.configure(f'strategy = "{strategy}"\n{router}{health}')
    asked = 'HEALTHCHECK CMD ["/busybox", "wget", "-q", "-O-", "http://127.0.0.1/"]\n' if check == "image" else ""
    for version in ("1", "2"):
        app.clone.release(version, bare(asked + SERVE))
        assert f"{version} is live" in app.clone.push(app.remote).text
        assert get(app.url).strip() == version
    assert "1 is live" in app.site.run("rollback", app.name).stdout
    assert "error" not in app.site.run("status", app.name).stdout


@pytest.mark.parametrize(
    ("end", "where", "told"),
    [
        ("CMD /busybox httpd -f -p 80 -h /www\n", "Deploy", "the image has no shell: write commands as lists"),
        ("HEALTHCHECK CMD wget -q -O- http://127.0.0.1/\n" + SERVE, "Deploy", "the image has no shell"),
        ('HEALTHCHECK CMD ["curl", "http://127.0.0.1/"]\n' + SERVE, "Deploy", "HEALTHCHECK names a program that is not in"),
        ("RUN echo hi\n" + SERVE, "Build", "the image has no shell"),
    ],
)
def test_what_needs_more_is_told(app: Deployable, end: str, where: str, told: str) -> None:
    app.site.configure(QUICK)
    app.clone.release("1", bare(end))
    push = app.clone.push(app.remote).text
    assert f"1 FAILED at {where}" in push, push
    assert f"what to do: {told}" in push or told in push.partition("what to do:")[2], push


@pytest.mark.parametrize("platform", ["", "--platform=linux/arm64 "])
def test_another_processor(app: Deployable, docker_client: docker.DockerClient, platform: str) -> None:
    app.site.configure(QUICK)
    app.clone.release("1", bare(SERVE))
    assert "1 is live" in app.clone.push(app.remote).text
    app.clone.release("2", {"arm": ARM, "Dockerfile": f'FROM {platform}scratch\nCOPY arm /app\nEXPOSE 80\nCMD ["/app"]\n'})
    (app.clone.path / "arm").chmod(0o755)
    app.clone.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    push = app.clone.push(app.remote, "+HEAD:main").text
    assert "2 FAILED at Deploy" in push, push
    assert "exec format error" in push
    assert "what to do: the image is for another processor than this machine's" in push
    assert get(app.url).strip() == "1"
