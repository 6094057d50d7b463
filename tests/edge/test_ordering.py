"""Certificates of a real authority, Caddy's: ordered, renewed, refused."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from gitdeploy.edge import pem
from gitdeploy.edge.authority import AcmeAuthority, AcmeSettings
from gitdeploy.edge.certstore import AuthorityAccount, CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed
from gitdeploy.edge.renewal import WantedCertificate, renew_at
from gitdeploy.edge.renewing import Renewing
from gitdeploy.errors import Cancelled
from tests.edge.conftest import NAMES
from tests.support.acme_authority import Answerer, Authority, answering, serve
from tests.support.installed import CHECKOUT
from tests.support.net import free_port

SHOP, WWW, BLOG, WIKI = NAMES
NOBODY = "nobody.example.test"


def settings(authority: Authority, **changes: object) -> AcmeSettings:
    """The authority's, with its root certificate."""
    return replace(AcmeSettings(authority.directory, authority.root, patience=120), **changes)


def ordering(authority: Authority, store: CertificateStore, **changes: object) -> AcmeAuthority:
    """Who orders there, for an edge that is ready at once."""
    return AcmeAuthority(settings(authority, **changes), store, lambda names: None, time.time)


def failure(acme: AcmeAuthority, *names: str) -> OrderFailed:
    """Why an order fails."""
    with pytest.raises(OrderFailed) as caught:
        acme.issue(names, Event())
    return caught.value


def test_an_order_brings_a_certificate_for_all_its_names(
    authority: Authority, answerer: Answerer, store: CertificateStore, tmp_path: Path
) -> None:
    ready: list[tuple[tuple[str, ...], list[str]]] = []
    acme = AcmeAuthority(settings(authority), store, lambda names: ready.append((names, [*answerer.looked])), time.time)
    certificate = acme.issue((SHOP, WWW), Event())
    assert set(certificate.names) == {SHOP, WWW}
    assert (certificate.authority, certificate.self_made) == (authority.directory, False)
    assert ready == [((SHOP, WWW), [])], "the edge is asked before the authority looks, once"
    assert set(answerer.looked) == {SHOP, WWW}
    # OpenSSL takes the file as HAProxy does, and a client that trusts the root trusts the chain.
    (tmp_path / "served.pem").write_bytes(certificate.pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "served.pem")
    (tmp_path / "chain.pem").write_bytes(certificate.chain)
    verify = ["openssl", "verify", "-CAfile", authority.root, "-untrusted", tmp_path / "chain.pem", "-verify_hostname", WWW]
    subprocess.run([*verify, tmp_path / "chain.pem"], check=True)


def test_an_account_is_made_once_and_found_again(authority: Authority, answerer: Answerer, store: CertificateStore) -> None:
    before = authority.asked("new-account")
    first = ordering(authority, store).issue((SHOP,), Event())
    account = store.account(authority.directory)
    second = ordering(authority, store).issue((WWW,), Event())
    assert authority.asked("new-account") == before + 1
    assert store.account(authority.directory) == account
    assert first.key != second.key
    # Without its URL the authority is asked, and it has the same one for this key.
    store.keep_account(authority.directory, None)
    ordering(authority, store).issue((SHOP,), Event())
    assert store.account(authority.directory) == account


def test_another_email_address_is_told_to_the_account_that_there_is(
    authority: Authority, answerer: Answerer, store: CertificateStore
) -> None:
    ordering(authority, store, email="ops@example.test").issue((SHOP,), Event())
    account = store.account(authority.directory)
    assert account and account.email == "ops@example.test"
    ordering(authority, store, email="dev@example.test").issue((SHOP,), Event())
    assert store.account(authority.directory) == replace(account, email="dev@example.test")


def test_an_authority_that_has_lost_the_account_gets_a_new_one(
    authority: Authority, answerer: Answerer, store: CertificateStore
) -> None:
    lost = AuthorityAccount(authority.directory.replace("directory", "account/lost"), "", pem.thumbprint(store.account_key()))
    store.keep_account(authority.directory, lost)
    assert ordering(authority, store).issue((SHOP,), Event()).covers(SHOP)
    assert store.account(authority.directory) not in (None, lost)


def test_a_name_that_leads_nowhere_is_refused(authority: Authority, answerer: Answerer, store: CertificateStore) -> None:
    failed = failure(ordering(authority, store), NOBODY)
    assert f"refused {NOBODY}: The server could not connect" in failed.reason
    assert "port 80 of the name" in failed.hint
    assert not failed.everywhere


def test_a_name_where_somebody_else_answers_is_refused(
    authority: Authority, answerer: Answerer, store: CertificateStore
) -> None:
    answerer.thumbprint = "another"
    failed = failure(ordering(authority, store), SHOP)
    assert f"refused {SHOP}: " in failed.reason
    assert not failed.everywhere


def test_a_name_without_anybody_on_port_80_is_refused(authority: Authority, store: CertificateStore) -> None:
    failed = failure(ordering(authority, store), SHOP)
    assert f"refused {SHOP}: " in failed.reason
    assert not failed.everywhere


def test_an_authority_whose_root_is_not_known_is_not_trusted(authority: Authority, store: CertificateStore) -> None:
    failed = failure(ordering(authority, store, root=None), SHOP)
    assert "its certificate is not trusted" in failed.reason
    assert failed.everywhere


def renewing(
    authority: Authority, store: CertificateStore, said: list[str], clock: Callable[[], float] = time.time
) -> Renewing:
    """An installation whose edge serves at once what is installed; that is said, too."""
    issuer = AcmeAuthority(settings(authority), store, lambda names: None, time.time)
    installed = lambda name, certificate: said.append(f"installed {name} {certificate.fingerprint}")  # noqa: E731
    return Renewing(store, {authority.directory: issuer}, installed, said.append, clock)


def wanted(authority: Authority, *groups: tuple[str, ...]) -> list[WantedCertificate]:
    """Certificates of the authority, one for each group of names."""
    return [WantedCertificate(names, authority.directory) for names in groups]


def test_what_is_due_is_ordered_kept_and_installed_once(
    authority: Authority, answerer: Answerer, store: CertificateStore, said: list[str]
) -> None:
    walker, all_wanted = renewing(authority, store, said), wanted(authority, (SHOP, WWW), (BLOG,))
    look_at = walker.walk(all_wanted, Event())
    kept = store.certificates()
    assert kept.keys() == {SHOP, BLOG}
    assert [line for line in said if "installed" in line] == [
        f"installed {name} {kept[name].fingerprint}" for name in (BLOG, SHOP)
    ]
    assert look_at > time.time()
    said.clear()
    walker.walk(all_wanted, Event())
    assert (said, store.certificates()) == ([], kept)
    # At two thirds of their lives all are ordered anew, and not before.
    renew = max(map(renew_at, kept.values()))
    renewing(authority, store, said, lambda: min(map(renew_at, kept.values())) - 1).walk(all_wanted, Event())
    assert store.certificates() == kept
    renewing(authority, store, said, lambda: renew).walk(all_wanted, Event())
    assert {name: one.fingerprint for name, one in store.certificates().items()}.items().isdisjoint(
        {name: one.fingerprint for name, one in kept.items()}.items()
    )


def test_another_name_has_the_certificate_ordered_anew(
    authority: Authority, answerer: Answerer, store: CertificateStore, said: list[str]
) -> None:
    walker = renewing(authority, store, said)
    walker.walk(wanted(authority, (SHOP,)), Event())
    walker.walk(wanted(authority, (SHOP, WIKI)), Event())
    kept = store.certificate(SHOP)
    assert kept and set(kept.names) == {SHOP, WIKI}


def test_a_name_that_fails_keeps_no_other_from_its_certificate(
    authority: Authority, answerer: Answerer, store: CertificateStore, said: list[str]
) -> None:
    before = authority.asked("new-order")
    walker, all_wanted = renewing(authority, store, said), wanted(authority, (NOBODY,), (WIKI,))
    look_at = walker.walk(all_wanted, Event())
    assert store.certificates().keys() == {WIKI}
    setback = store.setbacks()[NOBODY]
    assert (setback.count, setback.next_at) == (1, look_at)
    (line,) = (line for line in said if line.startswith(NOBODY))
    assert "could not connect" in line and "it is tried again at 20" in line
    walker.walk(all_wanted, Event())
    assert authority.asked("new-order") == before + 2, "it waits before it tries again"


def test_an_order_that_is_cancelled_counts_for_nothing(
    authority: Authority, answerer: Answerer, store: CertificateStore, said: list[str]
) -> None:
    cancel = Event()
    issuer = AcmeAuthority(settings(authority), store, lambda names: cancel.set(), time.time)
    walker = replace(renewing(authority, store, said), issuers={authority.directory: issuer})
    with pytest.raises(Cancelled):
        walker.walk(wanted(authority, (SHOP,)), cancel)
    assert (store.setbacks(), store.certificates(), said) == ({}, {}, [])


PROCESS = """
import sys, time
from pathlib import Path
from threading import Event
from gitdeploy.edge.authority import AcmeAuthority, AcmeSettings
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.renewal import WantedCertificate
from gitdeploy.edge.renewing import Renewing
store = CertificateStore(Path(sys.argv[1]), print)
directory, names = sys.argv[2], sys.argv[4:]
issuer = AcmeAuthority(AcmeSettings(directory, Path(sys.argv[3])), store, lambda names: print("ready", *names), time.time)
walker = Renewing(store, {directory: issuer}, lambda *what: None, print, time.time)
walker.walk([WantedCertificate((name,), directory) for name in names], Event())
"""


def test_processes_side_by_side_order_each_certificate_once(
    authority: Authority, tmp_path: Path, store: CertificateStore
) -> None:
    before = authority.asked("new-order"), authority.asked("new-account")
    arguments = [str(tmp_path / "edge"), authority.directory, str(authority.root), *NAMES]
    command = [sys.executable, "-c", PROCESS, *arguments]
    with answering(pem.thumbprint(store.account_key())):
        running = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        outputs = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(line for output in outputs for line in output.splitlines() if "ready" in line) == sorted(
        f"ready {n}" for n in NAMES
    )
    assert store.certificates().keys() == set(NAMES)
    assert (authority.asked("new-order"), authority.asked("new-account")) == (before[0] + len(NAMES), before[1] + 1)


def test_a_certificate_of_the_authority_before_is_ordered_anew(
    authority: Authority, answerer: Answerer, store: CertificateStore, said: list[str], tmp_path: Path
) -> None:
    with serve(tmp_path / "other", names=NAMES) as other:
        renewing(other, store, said).walk(wanted(other, (SHOP,)), Event())
    before = store.certificate(SHOP)
    renewing(authority, store, said).walk(wanted(authority, (SHOP,)), Event())
    after = store.certificate(SHOP)
    assert before and after
    assert (before.authority, after.authority) == (other.directory, authority.directory)


def test_an_authority_that_went_away_is_asked_once_for_all(store: CertificateStore, said: list[str], tmp_path: Path) -> None:
    url = f"https://localhost:{free_port()}/directory"
    issuer = AcmeAuthority(AcmeSettings(url, patience=60), store, lambda names: None, time.time)
    walker = Renewing(store, {url: issuer}, lambda name, certificate: None, said.append, time.time)
    look_at = walker.walk([WantedCertificate((name,), url) for name in NAMES], Event())
    assert len(said) == 1 and "cannot be reached: Connection refused" in said[0] and "all are tried again at" in said[0]
    assert store.setbacks().keys() == {url}
    assert look_at == store.setbacks()[url].next_at
