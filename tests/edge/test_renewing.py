"""What comes of orders, whoever issues: kept, installed, told; whatever fails keeps no other name from its certificate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from gitdeploy.edge import pem
from gitdeploy.edge.certificate import DAY, Certificate
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed
from gitdeploy.edge.renewal import FIRST, GAP, LOOK, WantedCertificate
from gitdeploy.edge.renewing import InternalAuthority, Renewing
from gitdeploy.errors import StageFailed, UnfitError
from tests.support.installed import CHECKOUT
from tests.support.net import wait_until
from tests.support.played_authority import Answer, serve

NOW = 1_800_000_000.0


@dataclass
class Script:
    """Who issues certificates, or raises what a test has in mind for a name, and the clock of it all."""

    root: Certificate
    raises: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = NOW
    name: str = "https://authority.test/directory"

    def clock(self) -> float:
        """The time."""
        return self.now

    def issue(self, names: tuple[str, ...], cancel: Event) -> Certificate:
        """A certificate, or not."""
        self.asked.append(names[0])
        if names[0] in self.raises:
            raise self.raises[names[0]]
        return pem.signed_by(self.root, names, self.now, self.name)


@pytest.fixture
def script(store: CertificateStore) -> Script:
    """An issuer to whom nothing happens."""
    return Script(store.internal_root(NOW))


def walker(store: CertificateStore, script: Script, said: list[str], installed: Callable[..., None] | None = None) -> Renewing:
    """Whoever orders from it."""
    served = installed or (lambda name, certificate: said.append(f"installed {name}"))
    return Renewing(store, {script.name: script}, served, said.append, script.clock)


def wanted(script: Script, *names: str) -> list[WantedCertificate]:
    """A certificate for each name."""
    return [WantedCertificate((name,), script.name) for name in names]


def test_each_outcome_is_a_line(store: CertificateStore, script: Script, said: list[str]) -> None:
    script.raises = {
        "b.test": OrderFailed("authority.test refused b.test: NXDOMAIN (dns)", "let it lead here"),
        "c.test": OrderFailed("authority.test refused the order: too many", retry_at=NOW + 7200),
        "d.test": OSError(28, "No space left on device"),
    }
    look_at = walker(store, script, said).walk(wanted(script, "a.test", "b.test", "c.test", "d.test", "e.test"), Event())
    assert said == [
        "a.test: has a certificate from https://authority.test/directory until 2027-04-15",
        "installed a.test",
        "b.test: authority.test refused b.test: NXDOMAIN (dns) (let it lead here); it is tried again at 2027-01-15 08:12 UTC",
        "c.test: authority.test refused the order: too many; it is tried again at 2027-01-15 10:00 UTC",
        "d.test: gitdeploy was refused something by this machine: No space left on device (details are in gitdeploy's log); "
        "it is tried again at 2027-01-15 08:12 UTC",
        "e.test: has a certificate from https://authority.test/directory until 2027-04-15",
        "installed e.test",
    ]
    assert store.certificates().keys() == {"a.test", "e.test"}
    assert {name: one.next_at - NOW for name, one in store.setbacks().items()} == {
        "b.test": FIRST,
        "c.test": 7200,
        "d.test": FIRST,
    }
    assert look_at == NOW + FIRST


def test_waits_grow_and_end_with_a_certificate(store: CertificateStore, script: Script, said: list[str]) -> None:
    script.raises = {"a.test": OrderFailed("no")}
    for wait in (FIRST, 2 * FIRST, 4 * FIRST):
        look_at = walker(store, script, said).walk(wanted(script, "a.test"), Event())
        assert store.setbacks()["a.test"].next_at == script.now + wait
        script.now = look_at - 1
        walker(store, script, said).walk(wanted(script, "a.test"), Event())
        script.now = store.setbacks()["a.test"].next_at
    assert script.asked == ["a.test"] * 3
    script.raises = {}
    walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert (store.setbacks(), store.certificates().keys()) == ({}, {"a.test"})


def test_an_authority_in_trouble_is_left_alone_for_all(store: CertificateStore, script: Script, said: list[str]) -> None:
    script.raises = {"b.test": OrderFailed("authority.test cannot be reached: no answer in time", everywhere=True)}
    all_wanted = wanted(script, "a.test", "b.test", "c.test")
    walker(store, script, said).walk(all_wanted, Event())
    assert script.asked == ["a.test", "b.test"]
    assert said[-1].endswith("no answer in time; all are tried again at 2027-01-15 08:12 UTC")
    assert store.setbacks().keys() == {script.name}
    script.raises, script.now = {}, NOW + FIRST
    walker(store, script, said).walk(all_wanted, Event())
    assert script.asked == ["a.test", "b.test", "b.test", "c.test"]
    assert (store.setbacks(), store.certificates().keys()) == ({}, {"a.test", "b.test", "c.test"})


def test_a_defect_is_raised_when_all_others_are_through(store: CertificateStore, script: Script, said: list[str]) -> None:
    script.raises = {"a.test": ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        walker(store, script, said).walk(wanted(script, "a.test", "b.test"), Event())
    assert store.certificates().keys() == {"b.test"}
    assert store.setbacks()["a.test"].reason == "gitdeploy itself failed (ZeroDivisionError)"


def test_an_edge_that_does_not_take_it_keeps_no_other_from_it(store: CertificateStore, script: Script, said: list[str]) -> None:
    def installed(name: str, certificate: Certificate) -> None:
        if name == "a.test":
            raise StageFailed("the edge does not answer", "docker logs gitdeploy-edge")
        said.append(f"installed {name}")

    walker(store, script, said, installed).walk(wanted(script, "a.test", "b.test"), Event())
    assert "a.test: the edge does not answer (docker logs gitdeploy-edge)" in said
    assert "installed b.test" in said
    assert store.certificates().keys() == {"a.test", "b.test"}
    assert store.setbacks() == {}


def test_internal_certificates_are_made_and_renewed(store: CertificateStore, script: Script, said: list[str]) -> None:
    internal = InternalAuthority(store.internal_root(NOW), script.clock)
    renewing = Renewing(store, {internal.name: internal}, lambda *what: None, said.append, script.clock)
    all_wanted = [WantedCertificate(("a.internal", "*.a.internal"), internal.name)]
    assert renewing.walk(all_wanted, Event()) == NOW + LOOK
    first = store.certificate("a.internal")
    assert first and first.covers("www.a.internal")
    script.now = NOW + 61 * DAY
    renewing.walk(all_wanted, Event())
    second = store.certificate("a.internal")
    assert second and second.fingerprint != first.fingerprint and second.not_after > first.not_after


def test_a_clock_that_is_behind_makes_no_internal_certificates(
    store: CertificateStore, script: Script, said: list[str]
) -> None:
    internal = InternalAuthority(store.internal_root(NOW), script.clock)
    renewing = Renewing(store, {internal.name: internal}, lambda *what: None, said.append, script.clock)
    all_wanted = [WantedCertificate((name,), internal.name) for name in ("a.internal", "b.internal")]
    renewing.walk(all_wanted, Event())
    kept = store.certificates()
    said.clear()
    script.now = 86400.0
    renewing.walk(all_wanted, Event())
    assert store.certificates() == kept
    assert (
        len(said) == 1
        and "this machine's clock says 1970-01-02, the root of internal certificates begins on 2027-01" in said[0]
    )
    script.now = NOW
    assert renewing.walk(all_wanted, Event()) == NOW + LOOK
    assert store.certificates() == kept


def test_a_clock_that_was_ahead_leaves_nothing_that_nobody_takes(
    store: CertificateStore, script: Script, said: list[str]
) -> None:
    script.now = NOW + 400 * DAY
    script.raises = {"b.test": OrderFailed("no")}
    all_wanted = wanted(script, "a.test", "b.test")
    walker(store, script, said).walk(all_wanted, Event())
    script.now, script.raises = NOW, {}
    walker(store, script, said).walk(all_wanted, Event())
    assert sorted(script.asked) == ["a.test", "a.test", "b.test", "b.test"]
    assert all(one.not_before <= NOW for one in store.certificates().values())


def test_without_a_place_to_note_it_nothing_is_ordered(
    store: CertificateStore, script: Script, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "edge/setbacks/.new").mkdir()  # in the way, for root, too
    walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert script.asked == []
    assert len(said) == 1 and "setbacks/a.test.json: cannot be written: " in said[0]


def test_another_process_that_does_not_end_is_named(
    store: CertificateStore, script: Script, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitdeploy.edge.renewing.PATIENCE", 0.1)
    with store.ordering(1, Event()):
        walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert len(said) == 1 and "ordering.lock: another process of gitdeploy has held it" in said[0]
    assert script.asked == []


ORDERS = """
import sys, time
from pathlib import Path
from threading import Event
from gitdeploy.edge.authority import AcmeAuthority, AcmeSettings
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.renewal import WantedCertificate
from gitdeploy.edge.renewing import Renewing
store = CertificateStore(Path(sys.argv[1]), print)
issuer = AcmeAuthority(AcmeSettings(sys.argv[2]), store, lambda names: None, time.time)
walker = Renewing(store, {sys.argv[2]: issuer}, print, print, lambda: float(sys.argv[3]))
walker.walk([WantedCertificate(("a.test",), sys.argv[2])], Event())
"""


@pytest.mark.parametrize("resource", ["directory", "account", "order", "challenge", "finalize", "certificate"])
def test_an_order_that_was_killed_is_not_repeated_at_once(
    resource: str, store: CertificateStore, script: Script, tmp_path: Path
) -> None:
    said: list[str] = []
    with serve() as played:
        played.says = {resource: [Answer(how="never")]}
        script.name = played.directory()
        command = [sys.executable, "-c", ORDERS, tmp_path / "edge", script.name, str(NOW)]
        with subprocess.Popen(command, cwd=CHECKOUT) as ordering:
            wait_until(lambda: played.heard and played.heard[-1][0] == resource, 60, f"{resource} is asked for")
            ordering.kill()
    walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert (script.asked, said) == ([], [])
    assert store.setbacks()["a.test"].reason == "its order was interrupted"
    script.now = NOW + GAP
    walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert store.certificates().keys() == {"a.test"}


def test_errors_of_the_machine_are_errors_of_one_line(store: CertificateStore, script: Script, said: list[str]) -> None:
    script.raises = {"a.test": UnfitError("certificates need Python packages", "pip install 'gitdeploy[edge]'")}
    walker(store, script, said).walk(wanted(script, "a.test"), Event())
    assert said == [
        "a.test: certificates need Python packages (pip install 'gitdeploy[edge]'); it is tried again at 2027-01-15 08:12 UTC"
    ]
