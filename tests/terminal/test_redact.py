"""Secrets are taken out of text, whatever stands around them and whoever adds one meanwhile."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.sections import Notify, Router
from gitdeploy.terminal.redact import Redactor, secrets_of, secrets_of_url


def redactor(*values: str) -> Redactor:
    made = Redactor()
    made.add(values)
    return made


def test_the_longest_value_goes_first() -> None:
    hide = redactor("admin", "admin-9f3k2", "9f3k2")
    assert hide("password admin-9f3k2, user admin") == "password ***, user ***"


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        (("abcdefgh", "ghijklmn"), "is abcdefghijklmn!", "is ***!"),
        (("ghijklmn", "abcdefgh", "cdef"), "abcdefghijklmn", "***"),
        (("abab",), "xababab-abab", "x***-***"),
        (("hunter2",), "hunter2hunter2", "******"),
        (("****",), "a****b", "a***b"),
    ],
)
def test_values_that_overlap_are_hidden_as_one(values: tuple[str, ...], text: str, shown: str) -> None:
    assert redactor(*values)(text) == shown


@pytest.mark.parametrize(
    "text",
    ["hun\x1b[1mter2", "hun\x00ter2", "hunt\x1b]0;x\x07er2", "\x1b[31mhunter2\x1b[0m", "h\u202eunter2", "hun\udcffter2"],
)
def test_a_value_that_escapes_divide_is_found(text: str) -> None:
    assert redactor("hunter2")(f"is {text}!") == "is ***!"


def test_a_value_with_control_characters_is_found_as_it_is_shown() -> None:
    assert redactor("hun\x1b[1mter\x002")("it is hunter2") == "it is ***"


def test_each_line_of_a_value_is_hidden_in_texts_of_several_lines() -> None:
    hide = redactor("-----BEGIN-----\nMIIEvQ==\r\nabc\n")
    assert hide("key:\n  MIIEvQ==\nabc -----BEGIN-----") == "key:\n  ***\nabc ***"


def test_values_come_while_lines_are_written() -> None:
    hide, stop, wrong = Redactor(), threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            try:
                hide("a line with value-17 in it")
            except RuntimeError as error:
                wrong.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1000):
        hide.add([f"value-{number}"])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert hide("value-999 and value-17") == "*** and ***"


def test_passwords_of_registries_are_known_when_they_are_handed_out() -> None:
    hide = Redactor()
    logins = {"r.example": ("bob", "s3cret-pw"), "t.example": ("<token>", "identity-token")}
    credentials = hide.credentials(logins.get)
    assert hide("s3cret-pw") == "s3cret-pw"
    assert credentials("r.example") == ("bob", "s3cret-pw")
    assert credentials("t.example") == ("<token>", "identity-token")
    assert credentials("other.example") is None
    encoded = base64.b64encode(b"bob:s3cret-pw").decode()
    assert hide(f"s3cret-pw {encoded} identity-token bob") == "*** *** *** bob"


def test_values_of_the_config_that_are_secret_by_name_or_form() -> None:
    app = App(
        "o/r",
        image="i",
        container="c",
        env={"DB_PASSWORD": "pw-of-db", "MODE": "production", "DATABASE_URL": "postgres://u:pw-in-url@db/x"},
        router=Router(labels={"traefik.http.middlewares.a.basicauth.users": "u:$apr1$x"}),
    )
    assert sorted(secrets_of(app)) == ["pw-in-url", "pw-of-db", "u:$apr1$x"]


@pytest.mark.parametrize(
    ("url", "secret", "open_"),
    [
        ("https://chat.example/services/T0000000/B1111111x", "B1111111x", "chat.example"),
        ("https://chat.example/hook?token=abcdefg", "abcdefg", "chat.example"),
        ("https://bob:pw-in-url@chat.example/", "pw-in-url", "chat.example"),
        ("https://chat.example/?k=a%20b%20c%20d", "a b c d", "chat.example"),
        ("http://[broken/very-secret", "http://[broken/very-secret", "broken"),
    ],
)
def test_what_is_secret_in_an_address(url: str, secret: str, open_: str) -> None:
    hide = redactor(*secrets_of_url(replace(Notify(), url=url)))
    assert secret not in hide(f"{secret} of {url}")
    assert hide(open_) == open_


def test_no_address_no_secret() -> None:
    assert secrets_of_url(Notify()) == []
