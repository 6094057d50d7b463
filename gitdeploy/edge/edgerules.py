"""What the edge's HAProxy does with a request, as rules of its configuration. Pure.

Keywords: https://docs.haproxy.org/2.6/configuration.html#4.2 ("http-request set-var", "http-request return").
"""

from __future__ import annotations

from gitdeploy.edge.edgemaps import AWAY, FIELDS, ROUTES, SETTINGS, USERS, path_of

PAGE = f'content-type "text/html; charset=utf-8" file {path_of(AWAY)} hdr Retry-After 10'
"""The page for what does not serve."""

CHALLENGE = r"^/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,200}$"

SOME = "{ var(txn.rare) -m len gt 0 }"
"""Whether there is anything rare about the route."""


def rules(scheme: str, trusted: str) -> list[str]:
    """Return the rules of a frontend, "http" or "https", in their order.

    Args:
        trusted: the condition for a proxy whose X-Forwarded-… headers are believed, "" for none.
    """
    return [*_client(scheme, trusted), *_route(), *_redirected(scheme, trusted), *_answer(scheme)]


def _client(scheme: str, trusted: str) -> list[str]:
    """Return what tells the app of the client; what a client says of itself is believed of trusted proxies alone."""
    told = (("For", "%[src]"), ("Proto", scheme), ("Host", "%[req.hdr(host)]"))
    if not trusted:
        gone = ["http-request del-header Forwarded", "http-request del-header X-Forwarded-Port"]
        return gone + [f"http-request set-header X-Forwarded-{name} {value}" for name, value in told]
    return [
        *(f"http-request del-header X-Forwarded-{name} unless {trusted}" for name in ("For", "Proto", "Host", "Port")),
        f"http-request del-header Forwarded unless {trusted}",
        "http-request add-header X-Forwarded-For %[src]",
        *(
            f"http-request set-header X-Forwarded-{name} {value} unless {{ req.hdr(X-Forwarded-{name}) -m found }}"
            for name, value in told[1:]
        ),
    ]


def _route() -> list[str]:
    """Return the look into the map: the name itself, then the wildcard that it falls under."""
    look = f"concat(,txn.path,/),map_beg({path_of(ROUTES)})"
    missing = "unless { var(txn.route) -m found }"
    nobody = 'http-request return status 404 content-type text/plain string "No app has this address.\\n"'
    return [
        "http-request set-var(txn.path) path",
        "http-request set-var(txn.host) req.hdr(host),field(1,:),lower,rtrim(.)",
        f"{nobody} unless {{ req.hdr(host) -m reg -i ^[a-z0-9.-]+(:[0-9]{{1,5}})?$ }}",  # apps believe it
        f"http-request set-var(txn.route) var(txn.host),{look}",
        f"http-request set-var(txn.route) var(txn.host),regsub(^[^.]*,*),{look} {missing}",
        f"{nobody} {missing}",
        "http-request set-var(txn.rare) var(txn.route),field(3,|)",
    ]


def _redirected(scheme: str, trusted: str) -> list[str]:
    """Return what comes before the app: challenges of the authority, HTTPS, the name that is to be used."""
    thumbprint = f"str(thumbprint),map({path_of(SETTINGS)})"
    challenge = (
        f'http-request return status 200 content-type text/plain lf-string "%[path,field(4,/)].%[{thumbprint}]" '
        f"if {{ path_reg {CHALLENGE} }} {given('acme')} {{ {thumbprint} -m found }}"
    )
    canonical = (
        f"http-request redirect location %[var(txn.scheme)]://%[var(txn.canonical)]%[capture.req.uri,regsub(^https?://[^/]*,)] "
        f"code 308 if {SOME} {given('canonical')}"
    )
    named = [
        f"http-request set-var(txn.canonical) {field('canonical')} if {SOME}",
        f"http-request set-var-fmt(txn.scheme) {scheme} if {SOME}",
        f"http-request set-var-fmt(txn.scheme) https if {SOME} {given('secure')}",
        canonical,
    ]
    if scheme == "https":
        return named
    proxied = "!{ req.hdr(X-Forwarded-Proto) https }" if trusted else ""
    return [challenge, *named, f"http-request redirect scheme https code 308 if {given('secure')} {proxied}".rstrip()]


def _answer(scheme: str) -> list[str]:
    """Return what the edge answers in the app's place: only routes with something rare about them are looked at."""
    over = "{ req.hdr_val(content-length),sub(txn.max) gt 0 }"
    realm = f"{{ var(txn.realm),concat(:,txn.digest),map({path_of(USERS)}) -m found }}"
    lines = [
        f"http-request set-var(txn.realm) {field('realm')} if {SOME} {given('realm')}",
        f"http-request set-var(txn.digest) req.hdr(authorization),sha2(256),hex,lower if {SOME} {given('realm')}",
        'http-request return status 401 content-type text/plain string "Please sign in.\\n" '
        f'hdr WWW-Authenticate "Basic realm=\\"restricted\\"" if {SOME} {given("realm")} !{realm}',
        f"http-request del-header Authorization if {SOME} {given('realm')}",
        f"http-request return status 503 {PAGE} if {SOME} {given('maintenance')}",
        f"http-request set-var(txn.max) {field('max')} if {SOME} {given('max')}",
        'http-request return status 413 content-type text/plain string "This is too large.\\n" '
        f"if {SOME} {given('max')} {over}",
    ]
    if scheme == "https":
        hsts = f"%[{field('hsts')}]"
        lines.append(f"http-response set-header Strict-Transport-Security {hsts} if {SOME} {given('hsts')}")
    return lines


def field(name: str) -> str:
    """Return the expression for what a route's value has of this."""
    return f"var(txn.route),field({FIELDS.index(name) + 1},|)"


def given(name: str) -> str:
    """Return the condition that it has something."""
    return f"{{ {field(name)} -m len gt 0 }}"
