"""What an authority can do to an order: nothing of it is served, waits for ever, or is told in riddles."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge import ordering, pem
from gitdeploy.edge.authority import AcmeAuthority, AcmeSettings
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed
from gitdeploy.edge.renewal import LONGEST
from gitdeploy.errors import Cancelled
from tests.edge.stage import Said
from tests.support.net import free_port, wait_until
from tests.support.played_authority import Answer, Played, problem, serve, signed

SHOP = "shop.example.test"


@pytest.fixture
def played() -> Iterator[Played]:
    """An authority that does all right."""
    with serve() as running:
        yield running


def order(played: Played, store: CertificateStore, patience: float = 60, **changes: Any) -> Any:
    """Order a certificate from it."""
    settings = replace(AcmeSettings(played.directory(), patience=patience), **changes)
    return AcmeAuthority(settings, store, lambda names: None, time.time).issue((SHOP,), Event())


def failure(played: Played, store: CertificateStore, patience: float = 60, **changes: Any) -> OrderFailed:
    """Why an order fails."""
    with pytest.raises(OrderFailed) as caught:
        order(played, store, patience, **changes)
    assert "\n" not in caught.value.reason
    return caught.value


def test_nothing_in_its_way(played: Played, store: CertificateStore) -> None:
    assert order(played, store, email="ops@example.test").covers(SHOP)
    ((_, account),) = (one for one in played.heard if one[0] == "account")
    assert account == {"contact": ["mailto:ops@example.test"], "termsOfServiceAgreed": True}


ISSUED: dict[str, tuple[Callable[..., str], str]] = {
    "for another key": (lambda request: pem.self_made((SHOP,), time.time()).chain.decode(), "found one for another key"),
    "for another name": (lambda request: signed(request, ("other.example.test",)), f"for {SHOP}, found one for other.exam"),
    "that has ended": (lambda request: signed(request, begin=-9, end=-1), "found one that ended on 20"),
    "that begins next week": (lambda request: signed(request, begin=7), "found one that begins on 20"),
    "that is none": (lambda request: "Hello!", "expected a certificate in PEM"),
    "that is empty": (lambda request: "", "expected a certificate in PEM (-----BEGIN CERTIFICATE-----), found nothing"),
    "that is torn": (lambda request: signed(request)[:200], "found one that cannot be read"),
    "with its key": (lambda request: pem.new_key().decode(), "found a key"),
}


@pytest.mark.parametrize(("certify", "reason"), ISSUED.values(), ids=ISSUED)
def test_a_certificate(certify: Callable[..., str], reason: str, played: Played, store: CertificateStore) -> None:
    played.certify = certify
    failed = failure(played, store)
    assert "issued what cannot be served: the answer: expected" in failed.reason
    assert reason in failed.reason
    assert not failed.everywhere


NEVER, TRICKLE, NOTHING = Answer(how="never"), Answer(how="trickle"), Answer(how="nothing")
LIMITED = problem("rateLimited", 429, {"Retry-After": "3600"}, detail="too many certificates already issued")
SAID: dict[str, tuple[dict[str, list[Answer | None]], str, bool]] = {
    "no directory": ({"directory": [Answer("<html>", 200, {"Content-Type": "text/html"})]}, "expected answers of ACME", True),
    "an empty directory": ({"directory": [Answer({})]}, "expected answers of ACME", True),
    "a directory of another kind": ({"directory": [Answer([1])]}, "expected answers of ACME", True),
    "no such place": ({"directory": [Answer("", 404)]}, "expected answers of ACME (RFC 8555), found HTTP 404", True),
    "too much": ({"directory": [Answer("x" * 2_000_000)]}, "an answer of more than 1000000 bytes", True),
    "nothing": ({"directory": [NOTHING]}, "cannot be reached: ", True),
    "nothing to an order": ({"order": [NOTHING]}, "cannot be reached: ", True),
    "no nonce": ({"nonce": [Answer("", 200, {"Replay-Nonce": ""})]}, "expected answers of ACME", True),
    "a bad nonce again": ({"order": [problem("badNonce", detail="stale")]}, "refused the order: stale (badNonce)", False),
    "no account": ({"account": [problem("externalAccountRequired", detail="bind")]}, "bind (externalAccountRequired)", True),
    "a limit": ({"order": [LIMITED]}, "too many certificates already issued (rateLimited)", False),
    "a defect": ({"order": [problem("serverInternal", 500, detail="oops")]}, "refused the order: oops (serverInternal)", True),
    "an outage": ({"order": [Answer("<html>", 503)]}, "found HTTP 503", True),
    "a name that it does not like": (
        {"order": [problem("rejectedIdentifier", detail="policy\r\n\x1b[31mforbids it")]}, "policy [31mforbids it", False,
    ),
    "two names that it does not like": (
        {
            "order": [
                problem(
                    "compound", detail="both",
                    subproblems=[{"type": "x:caa", "detail": "a record", "identifier": {"type": "dns", "value": SHOP}}],
                )
            ]
        },
        f"both; {SHOP}: a record (caa)",
        False,
    ),
    "an order without links": ({"order": [Answer({"status": "pending"}, 201)]}, "expected answers of ACME", True),
    "an order of rubbish": ({"order": [Answer("[]", 201)]}, "expected answers of ACME", True),
    "a challenge without a link": ({"challenge": [Answer({"type": "http-01"})]}, "expected answers of ACME", True),
    "a refusal in the end": (
        {"finalize": [problem("badCSR", detail="a weak key")]}, "refused the order: a weak key (badCSR)", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "reason", "everywhere"), SAID.values(), ids=SAID)
def test_an_answer(
    says: dict[str, list[Answer | None]], reason: str, everywhere: bool, played: Played, store: CertificateStore
) -> None:
    played.says = {resource: list(answers) for resource, answers in says.items()}
    failed = failure(played, store)
    assert reason in failed.reason
    assert failed.everywhere == everywhere


@pytest.mark.parametrize(
    ("resource", "how"),
    [*((resource, NEVER) for resource in ("directory", "nonce", "account", "order", "finalize")), ("certificate", TRICKLE)],
)
def test_an_answer_that_does_not_end(resource: str, how: Answer, played: Played, store: CertificateStore) -> None:
    played.says = {resource: [how]}
    failed = failure(played, store, patience=2)
    assert "cannot be reached: no answer in time" in failed.reason
    assert failed.everywhere


def test_an_authority_that_is_away(played: Played, store: CertificateStore) -> None:
    failed = failure(played, store, directory=f"http://127.0.0.1:{free_port()}/directory")
    assert "cannot be reached: Connection refused" in failed.reason
    failed = failure(played, store, directory="https://authority.invalid/directory")
    assert "authority.invalid cannot be reached: " in failed.reason
    failed = failure(played, store, directory=played.directory().replace("http:", "https:"))
    assert "cannot be reached: " in failed.reason and "<" not in failed.reason


def test_whoever_cancels_is_not_kept_waiting(played: Played, store: CertificateStore) -> None:
    played.says = {"order": [NEVER]}
    cancel, ended = Event(), Event()
    acme = AcmeAuthority(AcmeSettings(played.directory(), patience=600), store, lambda names: None, time.time)

    def run() -> None:
        with pytest.raises(Cancelled):
            acme.issue((SHOP,), cancel)
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    wait_until(lambda: played.heard and played.heard[-1][0] == "order", 30, "the order")
    cancel.set()
    assert ended.wait(30)


RETRIES = {
    "seconds": ("3600", 3600),
    "a date": ("in two hours", 7200),
    "rubbish": ("soon", None),
    "the past": (formatdate(0, usegmt=True), None),
}


@pytest.mark.parametrize(("header", "seconds"), RETRIES.values(), ids=RETRIES)
def test_retry_after(header: str, seconds: int | None, played: Played, store: CertificateStore) -> None:
    if header == "in two hours":  # of now, and not of when the tests were collected
        header = formatdate(time.time() + 7200, usegmt=True)
    played.says = {"order": [problem("rateLimited", 429, {"Retry-After": header}, detail="too many")]}
    retry_at = failure(played, store).retry_at
    if seconds is None:
        assert retry_at == 0
    else:
        assert abs(retry_at - time.time() - seconds) < 1000
        assert retry_at < time.time() + LONGEST


def test_a_nonce_that_went_stale_is_no_failure(played: Played, store: CertificateStore) -> None:
    played.says = {"order": [problem("badNonce", detail="stale"), None]}
    assert order(played, store).covers(SHOP)


def test_a_challenge_that_is_looked_at_again_by_the_authority_is_waited_for(played: Played, store: CertificateStore) -> None:
    error = {"type": "urn:ietf:params:acme:error:dns", "detail": "not yet"}
    pending, retried = Answer(played.authorization("pending")), played.authorization("pending")
    retried["challenges"] = [played.challenge("processing", error=error)]
    played.says = {"authorization": [pending, Answer(retried), Answer(retried, 200, {"Retry-After": "1"}), None]}
    assert order(played, store).covers(SHOP)


@pytest.mark.parametrize("status", ["invalid", "pending"])
def test_a_challenge_that_failed(status: str, played: Played, store: CertificateStore) -> None:
    failed_one = Answer(played.authorization(status, error={"type": "urn:ietf:params:acme:error:dns", "detail": "NXDOMAIN"}))
    played.says = {"authorization": [Answer(played.authorization("pending")), failed_one]}
    failed = failure(played, store)
    assert f"refused {SHOP}: NXDOMAIN (dns)" in failed.reason
    assert "A or AAAA record" in failed.hint


def test_a_challenge_that_nobody_looks_at(played: Played, store: CertificateStore) -> None:
    played.says = {"authorization": [Answer(played.authorization("pending"))]}
    failed = failure(played, store, patience=3)
    assert f"has not made sure of {SHOP} within 3 s" in failed.reason
    assert not failed.everywhere
    played.says = {"authorization": [Answer(played.authorization("pending"), 200, {"Retry-After": "7200"})]}
    assert failure(played, store).retry_at > time.time() + 3600


def test_no_challenge_that_the_edge_can_answer(played: Played, store: CertificateStore) -> None:
    played.says = {"authorization": [Answer(played.authorization("pending", type="dns-01"))]}
    assert f"offers no http-01 challenge for {SHOP}" in failure(played, store).reason


def test_an_order_that_takes_its_time(played: Played, store: CertificateStore) -> None:
    processing, ready = played.order("processing"), played.order("ready")
    slow = Answer(processing, 200, {"Retry-After": "1"})
    played.says = {
        "finalize": [problem("orderNotReady", 403, detail="wait"), slow, None],
        "polled": [Answer(ready), Answer(processing), Answer(ready), None],
    }
    assert order(played, store).covers(SHOP)
    played.says = {
        "polled": [Answer(played.order("invalid", error={"type": "x:caa", "detail": "forbidden"}))],
        "finalize": [slow],
    }
    assert "refused the order: forbidden (caa)" in failure(played, store).reason
    played.says = {"polled": [Answer(processing)], "finalize": [slow]}
    assert "has not issued the certificate within 3 s" in failure(played, store, patience=3).reason


def test_an_account_that_exists_elsewhere_is_bound(played: Played, store: CertificateStore) -> None:
    secret = b"a secret of thirty-two characters"
    key = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    settings = AcmeSettings(played.directory(), binding="kid-1", binding_key=key)
    assert key not in repr(settings)
    order(played, store, binding="kid-1", binding_key=key)
    ((_, account),) = (one for one in played.heard if one[0] == "account")
    bound = account["externalAccountBinding"]
    message = f"{bound['protected']}.{bound['payload']}".encode()
    right = base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode().rstrip("=")
    assert bound["signature"] == right
    assert b'"kid-1"' in base64.urlsafe_b64decode(bound["protected"] + "==")


def test_such_an_account_in_config_toml(played: Played, store: CertificateStore, tmp_path: Path) -> None:
    file = tmp_path / "eab.key"
    file.touch(mode=0o600)
    file.write_text(base64.urlsafe_b64encode(b"a secret of thirty-two characters").decode() + "\n")
    edge = EdgeSettings(acme=played.directory(), eab_id="kid-1", eab_key=file)
    _, fresh = ordering.order(store, edge, {"auto": [SHOP], "internal": []}, Said(), cancel=Event(), now=time.time)
    assert fresh == [SHOP]
    ((_, account),) = (one for one in played.heard if one[0] == "account")
    assert "externalAccountBinding" in account


def test_a_binding_that_is_none(played: Played, store: CertificateStore) -> None:
    failed = failure(played, store, binding="kid-1", binding_key="not base64!")
    assert "expected base64url" in failed.reason and "not base64!" not in failed.reason
    assert failed.everywhere


def test_a_root_that_is_none(played: Played, store: CertificateStore, tmp_path: Any) -> None:
    (tmp_path / "root.pem").write_text("hello")
    assert f"{tmp_path}/root.pem: expected a certificate" in failure(played, store, root=tmp_path / "root.pem").reason
    assert f"{tmp_path}/none.pem: cannot be read: No such" in failure(played, store, root=tmp_path / "none.pem").reason
