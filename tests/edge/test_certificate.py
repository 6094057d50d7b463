"""What a certificate is for, what is wrong with one, and those that gitdeploy makes."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import josepy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gitdeploy.edge import pem
from gitdeploy.edge.certificate import DAY, Certificate, UnusableCertificate, faults
from gitdeploy.edge.extra import HINT
from gitdeploy.edge.renewing import InternalAuthority
from tests.support.installed import CHECKOUT

NOW = 1_800_000_000
SHOP = pem.self_made(("shop.example.com", "*.example.org"), NOW)
OTHER = pem.self_made(("other.example.com",), NOW)


def dumped(key: Any, form: str = "PKCS8", password: bytes = b"", encoding: str = "PEM") -> bytes:
    """A key as bytes."""
    hidden: Any = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    dump: bytes = key.private_bytes(
        getattr(serialization.Encoding, encoding), getattr(serialization.PrivateFormat, form), hidden
    )
    return dump


@pytest.mark.parametrize(
    ("name", "covered"),
    {
        "shop.example.com": True,
        "SHOP.Example.com": True,
        "example.com": False,
        "www.shop.example.com": False,
        "a.example.org": True,
        "A.example.ORG": True,
        "*.example.org": True,
        "example.org": False,
        "a.b.example.org": False,
        "*.a.example.org": False,
        "org": False,
        ".example.org": True,  # no name that anybody asks for
        "": False,
    }.items(),
)
def test_covers(name: str, covered: bool) -> None:
    assert SHOP.covers(name) == covered


def lasting(**changes: Any) -> Certificate:
    """A certificate for shop.example.com that lasts from yesterday until tomorrow."""
    return replace(SHOP, not_before=NOW - DAY, not_after=NOW + DAY, **changes)


@pytest.mark.parametrize(
    ("certificate", "names", "found"),
    [
        (lasting(), ["shop.example.com", "a.example.org"], []),
        (replace(lasting(), not_after=NOW), ["shop.example.com"], ["lasts, found one that ended on 2027-01-15"]),
        (replace(lasting(), not_before=NOW + 2 * DAY), [], ["has begun, found one that begins on 2027-01-17"]),
        (replace(lasting(), not_before=NOW + 60), [], []),
        (lasting(), ["b.example.net", "x.y"], ["for b.example.net, x.y, found one for shop.example.com, *.example.org"]),
        (lasting(names=()), ["b.example.net"], ["for b.example.net, found one for no name (no subjectAltName)"]),
        (replace(lasting(), not_after=NOW - 1), ["x.y"], ["ended on", "for x.y"]),
        (lasting(names=tuple(f"{i}.\n" for i in range(9))), ["x.y"], ["found one for '0.\\n', '1.\\n', "]),
    ],
)
def test_faults(certificate: Certificate, names: list[str], found: list[str]) -> None:
    lines = faults(certificate, names, NOW, "tls/shop.pem")
    assert len(lines) == len(found)
    for line, expected in zip(lines, found, strict=True):
        assert line.startswith("tls/shop.pem: expected a certificate ") and expected in line and "\n" not in line


RSA = rsa.generate_private_key(65537, 1024)
P256 = ec.generate_private_key(ec.SECP256R1())
CHAIN, KEY = SHOP.chain, SHOP.key
REQUEST = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
TORN = CHAIN.replace(CHAIN.splitlines()[3], b"!" * 64)
BAD: dict[str, tuple[bytes, bytes, str]] = {
    "nothing": (b"", KEY, "c.pem: expected a certificate in PEM (-----BEGIN CERTIFICATE-----), found nothing"),
    "DER": (ssl.PEM_cert_to_DER_cert(CHAIN.decode()), KEY, "found binary data (DER or PKCS #12"),
    "a key": (KEY, KEY, "c.pem: expected a certificate in PEM (-----BEGIN CERTIFICATE-----), found a key"),
    "a request": (REQUEST, KEY, "found a request for a certificate"),
    "words": (b"hello", KEY, "found something else"),
    "a torn one": (TORN, KEY, "c.pem: expected a certificate in PEM (-----BEGIN CERTIFICATE-----), found one that cannot"),
    "too much": (b"x" * 1_000_001, KEY, "found 1000001 bytes"),
    "another's key": (CHAIN, OTHER.key, "c.pem: expected the certificate of the key in k.pem, found one for another key"),
    "another order": (OTHER.chain + CHAIN, KEY, "found that certificate only at place 2"),
    "no key": (CHAIN, b"", "k.pem: expected an RSA or ECDSA key in PEM, without a passphrase, found nothing"),
    "a certificate for a key": (CHAIN, CHAIN, "without a passphrase, found a certificate"),
    "a key with a passphrase": (CHAIN, dumped(P256, password=b"x"), "found one with a passphrase"),
    "an old one with a passphrase": (CHAIN, dumped(P256, "TraditionalOpenSSL", b"x"), "found one with a passphrase"),
    "a torn key": (CHAIN, KEY.replace(KEY.splitlines()[1], b"AAAA"), "k.pem: expected an RSA or ECDSA key in PEM"),
    "a key in DER": (CHAIN, dumped(P256, encoding="DER"), "k.pem: expected an RSA or ECDSA key in PEM"),
    "a short key": (CHAIN, dumped(RSA), "of 2048 bits at least, found 1024 bits"),
    "a key that no browser takes": (CHAIN, dumped(ed25519.Ed25519PrivateKey.generate()), "found one of another kind"),
}


@pytest.mark.parametrize(("chain", "key", "reason"), BAD.values(), ids=BAD)
def test_what_is_no_certificate_with_its_key(chain: bytes, key: bytes, reason: str) -> None:
    with pytest.raises(UnusableCertificate) as caught:
        pem.parse(chain, key, "c.pem", "k.pem")
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason and len(caught.value.reason) < 300
    assert caught.value.reason.startswith(("c.pem: ", "k.pem: "))


def test_a_file_as_people_have_them(tmp_path: Path) -> None:
    key = dumped(rsa.generate_private_key(65537, 2048), "TraditionalOpenSSL")
    (tmp_path / "k.pem").write_bytes(key)
    subject = [
        "-subj",
        "/CN=shop.example.com",
        "-addext",
        "subjectAltName=DNS:Shop.example.com,IP:192.0.2.1,email:a@example.com",
    ]
    command = ["openssl", "req", "-x509", "-key", tmp_path / "k.pem", *subject, "-days", "30", "-text"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    read = pem.parse(b"Bag Attributes\r\n" + text.replace(b"\n", b"\r\n") + OTHER.chain, key, "c.pem", "k.pem")
    assert read.names == ("shop.example.com",)
    assert not read.self_made
    assert read.chain.startswith(b"-----BEGIN CERTIFICATE-----\n") and read.chain.count(b"BEGIN CERTIFICATE") == 2
    assert (
        read.fingerprint
        == hashlib.sha256(ssl.PEM_cert_to_DER_cert(read.chain.decode().split("-----\n-----")[0] + "-----\n")).hexdigest()
    )
    assert faults(read, ["shop.example.com"], time.time(), "c.pem") == []
    both = pem.parse(read.pem, read.pem, "both.pem", "both.pem")
    assert both == read


def test_a_self_made_one() -> None:
    assert (SHOP.self_made, SHOP.authority, SHOP.names) == (True, "", ("shop.example.com", "*.example.org"))
    assert SHOP.not_before < NOW and SHOP.not_after > NOW + 9 * 365 * DAY
    assert b"PRIVATE" not in repr(SHOP).encode()
    assert SHOP.key != OTHER.key


def test_an_internal_one_is_trusted_by_whom_trusts_the_root(tmp_path: Path) -> None:
    root = pem.parse(made := pem.new_root(time.time()), made, "r.pem", "r.pem")
    authority = InternalAuthority(root, time.time)
    leaf = authority.issue(("shop.internal", "*.shop.internal"), None)  # type: ignore[arg-type]
    assert (leaf.authority, leaf.self_made) == (authority.name, False)
    assert leaf.not_after <= time.time() + 90 * DAY
    for file, content in {"root": root.chain, "leaf": leaf.chain, "other": pem.self_made(("x",), time.time()).chain}.items():
        (tmp_path / file).write_bytes(content)
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"]
    for name in ("shop.internal", "www.shop.internal"):
        subprocess.run([*verify, tmp_path / "root", "-verify_hostname", name, tmp_path / "leaf"], check=True)
    assert subprocess.run([*verify, tmp_path / "other", tmp_path / "leaf"], check=False, capture_output=True).returncode
    late = InternalAuthority(root, lambda: root.not_after - 5 * DAY).issue(("a.internal",), None)  # type: ignore[arg-type]
    assert late.not_after == root.not_after, "none outlasts its root"
    another = pem.parse(made := pem.new_root(time.time()), made, "r.pem", "r.pem")
    assert InternalAuthority(another, time.time).name != authority.name


def test_the_thumbprint_is_that_of_the_library_that_answers_challenges() -> None:
    for _ in range(20):  # coordinates may begin with zeros
        key = pem.new_key()
        theirs: Any = josepy.JWKEC(key=serialization.load_pem_private_key(key, None))  # type: ignore[attr-defined]
        assert pem.thumbprint(key) == josepy.b64encode(theirs.thumbprint()).decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", [dumped(rsa.generate_private_key(65537, 2048)), b"", b"hello", SHOP.chain])
def test_the_thumbprint_of_what_is_no_key_of_an_account(key: bytes) -> None:
    with pytest.raises(UnusableCertificate, match=r"^the account's key: expected"):
        pem.thumbprint(key)


WITHOUT = """
import sys
for name in ("acme", "josepy", "cryptography"):
    sys.modules[name] = None
import gitdeploy.edge.certificate, gitdeploy.edge.certstore, gitdeploy.edge.renewal, gitdeploy.edge.renewing
from pathlib import Path
from gitdeploy.errors import UnfitError
for name in ("pem", "acmeaccount", "authority"):
    try:
        __import__(f"gitdeploy.edge.{name}")
    except UnfitError as error:
        print(error.reason, "|", error.hint)
store = gitdeploy.edge.certstore.CertificateStore(Path(sys.argv[1]), print)
print(store.certificates(), store.setbacks())
try:
    store.account_key()
except UnfitError as error:
    print(error.hint)
"""


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, tmp_path / "edge"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[3:] == ["{} {}", HINT]
    for line in lines[:3]:
        assert line.startswith("certificates need Python packages that are not installed here: ")
        assert line.endswith(HINT)


def test_the_room_imports_the_extra_only_when_it_is_used() -> None:
    names = ", ".join(
        f"gitdeploy.edge.{name}" for name in ("certificate", "certstore", "renewal", "renewing", "orderfailed", "patient")
    )
    script = f"import sys, {names}; print({{'acme', 'josepy', 'cryptography', 'requests'}} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert loaded == "set()\n"
