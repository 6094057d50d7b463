#!/bin/sh
# Caddy 2.6.2, acme_server: who comes with an account that it does not know is told nothing: HTTP 500 and the body "{}".
#
# Guess: as RFC 8555, 6.2 and 6.7 have it, an order of an account that is not there is refused as accountDoesNotExist, from which a
# client knows that it has to make a new one, as after the authority's storage was lost.
# Found (Debian's caddy 2.6.2-5 with acme 5.9.0): HTTP 500, body "{}", no type. Also: a challenge that failed for want of an answer stays
# "pending", with an error, and is never looked at again by itself (RFC 8555, 8.2 has "processing" for one that is).
# So ask newAccount again after an order that fails for no known reason: the same URL comes back if it knows the account.
#
# Needs: caddy, python3 with venv, and PyPI; port 19443 of loopback. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
caddy=
trap '[ -z "$caddy" ] || kill "$caddy"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install acme==5.9.0

cat >"$work/Caddyfile" <<END
{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system $work/storage
    https_port 19443
}
https://localhost:19443 {
    tls internal
    acme_server
}
END
HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work caddy run --config "$work/Caddyfile" --adapter caddyfile >"$work/log" 2>&1 &
caddy=$!

cat >"$work/look.py" <<'PYTHON'
import sys
import time

import josepy
from acme import client, crypto_util, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
net = client.ClientNetwork(josepy.JWKEC(key=key), alg=josepy.ES256, verify_ssl=sys.argv[1])
for _ in range(100):
    try:
        directory = client.ClientV2.get_directory("https://localhost:19443/acme/local/directory", net)
        break
    except OSError:
        time.sleep(0.2)
acme = client.ClientV2(directory, net)
url = acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True)).uri
net.account = messages.RegistrationResource(body=messages.Registration(), uri=url[:-4] + "none")
request = net.session.request
net.session.request = lambda *args, **options: answers.append(request(*args, **options)) or answers[-1]
answers = []
try:
    acme.new_order(crypto_util.make_csr(pem, ["shop.example.test"]))
except messages.Error:
    print(answers[-1].status_code, answers[-1].text.strip())
PYTHON

"$work/venv/bin/python" "$work/look.py" "$work/storage/pki/authorities/local/root.crt" | tee "$work/found"
[ "$(cat "$work/found")" = '500 {}' ]
