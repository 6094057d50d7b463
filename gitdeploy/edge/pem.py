"""Certificates and keys as bytes: reading PEM, and making certificates that no authority is asked for.

Needs the extra gitdeploy[edge], so it is imported where it is used; without the extra the import raises UnfitError.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

from gitdeploy.edge.certificate import DAY, Certificate, UnusableCertificate, listed, missing_extra

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise missing_extra(error) from None

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

OURS = "gitdeploy"
"""The organization in certificates that gitdeploy signs itself."""

MAX_SIZE = 1_000_000
_YEAR = 365 * DAY
_LEAF_LIFE = 90 * DAY
_LEEWAY = 3600
"""Seconds that our own certificates begin in the past, for clients whose clocks are behind."""


def parse(chain: bytes, key: bytes, file: str, key_file: str, authority: str = "") -> Certificate:
    """Return the certificate at the beginning of `chain`, with its key; raise UnusableCertificate with the file that is wrong.

    `certificate.faults` judges dates and names.
    """
    found = certificates(chain, file)
    loaded = _key(key, key_file)
    leaf = found[0]
    public = _public(loaded.public_key())
    try:
        fits = [_public(one.public_key()) == public for one in found]
        names = _names(leaf)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _rubbish(file, f"one that cannot be read ({_words(error)})") from None
    if not fits[0]:
        other = f"one for another key than that in {key_file}"
        if any(fits):
            other = f"that certificate only at place {fits.index(True) + 1}"
        hint = "the certificate of the key stands first in the file, those of its authorities follow"
        raise UnusableCertificate(f"{file}: expected the certificate of the key in {key_file}, found {other}", hint)
    return Certificate(
        names=names,
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
        serial=f"{leaf.serial_number:X}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        self_made=leaf.issuer == leaf.subject and _organization(leaf.subject) == OURS,
        authority=authority,
        chain=b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found),
        key=_dump(loaded),
    )


def new_key() -> bytes:
    """Return a new ECDSA key on P-256, in PEM."""
    return _dump(ec.generate_private_key(ec.SECP256R1()))


def thumbprint(key: bytes) -> str:
    """Return the thumbprint of an account's key of `new_key` (RFC 8555, 8.1; RFC 7638); raise UnusableCertificate for others.

    The answer to `GET /.well-known/acme-challenge/TOKEN` is "TOKEN.THUMBPRINT", whatever the token and the name.
    """
    loaded = _key(key, "the account's key")
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
        raise UnusableCertificate("the account's key: expected an ECDSA key on P-256, found another")
    numbers = loaded.public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(number.to_bytes(32)).decode().rstrip("=") for number in (numbers.x, numbers.y))
    digest = hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def self_made(names: tuple[str, ...], now: float) -> Certificate:
    """Make a certificate signed by nobody but itself, so that TLS answers until a real one arrives. It lasts ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("self-made, until a certificate arrives")
    builder = _begun(subject, subject, key, (now, now + 10 * _YEAR))
    made = _for_servers(builder, names).sign(key, hashes.SHA256())
    return parse(made.public_bytes(serialization.Encoding.PEM), _dump(key), "the certificate made here", "its key")


def new_root(now: float) -> bytes:
    """Make an authority of this machine's own: its certificate, ten years long, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"internal authority {x509.random_serial_number():X}"[:40])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = _begun(subject, subject, key, (now, now + 10 * _YEAR))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + _dump(key)


def signed_by(root: Certificate, names: tuple[str, ...], now: float, authority: str) -> Certificate:
    """Make a certificate for the names with a new key, signed by a root of `new_root`; 90 days, and no longer than the root."""
    (signer,) = certificates(root.chain, "the internal root")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(_subject("internal"), signer.subject, key, (now, min(now + _LEAF_LIFE, root.not_after)))
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    akid = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = _for_servers(builder, names).add_extension(akid, critical=False)
    made = builder.sign(_key(root.key, "the internal root's key"), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return parse(made + root.chain, _dump(key), "the certificate made here", "its key", authority)


def _begun(subject: x509.Name, issuer: x509.Name, key: Key, life: tuple[float, float]) -> x509.CertificateBuilder:
    begin, end = (datetime.fromtimestamp(moment, UTC).replace(microsecond=0) for moment in life)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - timedelta(seconds=_LEEWAY))
        .not_valid_after(end)
    )


def _for_servers(builder: x509.CertificateBuilder, names: tuple[str, ...]) -> x509.CertificateBuilder:
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    for_servers = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.add_extension(alternative, critical=False).add_extension(for_servers, critical=False)


def _subject(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, OURS), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _organization(name: x509.Name) -> str:
    return next((str(one.value) for one in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)), "")


def certificates(chain: bytes, file: str) -> list[x509.Certificate]:
    """Return the certificates of a file in PEM, at least one; raise UnusableCertificate."""
    if len(chain) > MAX_SIZE:
        raise _rubbish(file, f"{len(chain)} bytes")
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        raise _rubbish(file, _other(chain))
    try:
        return x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise _rubbish(file, f"one that cannot be read ({_words(error)})") from None


def _rubbish(file: str, found: str) -> UnusableCertificate:
    return UnusableCertificate(f"{file}: expected a certificate in PEM (-----BEGIN CERTIFICATE-----), found {found}")


def _other(text: bytes) -> str:
    """Return what a file holds that is not what was looked for."""
    if not text.strip():
        return "nothing"
    if b"PRIVATE KEY-----" in text:
        return "a key"
    if b"-----BEGIN CERTIFICATE" in text:
        return "a request for a certificate" if b"REQUEST" in text else "a certificate"
    return "binary data (DER or PKCS #12, `openssl` converts them)" if b"\0" in text else "something else"


def _key(key: bytes, file: str) -> Key:
    wanted = f"{file}: expected an RSA or ECDSA key in PEM, without a passphrase"
    if len(key) > MAX_SIZE:
        raise UnusableCertificate(f"{wanted}, found {len(key)} bytes")
    if b"PRIVATE KEY-----" not in key:
        raise UnusableCertificate(f"{wanted}, found {_other(key)}")
    try:
        loaded = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        hint = "`openssl pkey -in ENCRYPTED -out KEY` takes the passphrase off"
        raise UnusableCertificate(f"{wanted}, found one with a passphrase", hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableCertificate(f"{wanted}, found one that cannot be read") from None
    if isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size < 2048:
        raise UnusableCertificate(f"{wanted}, of 2048 bits at least, found {loaded.key_size} bits")
    if not isinstance(loaded, Key):
        raise UnusableCertificate(f"{wanted}, found one of another kind")
    return loaded


def _dump(key: Key) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in alternative.get_values_for_type(x509.DNSName))


def _words(error: Exception) -> str:
    """Return an error's own words in one short line."""
    return listed([" ".join(str(error).split())[:120]]) or type(error).__name__
