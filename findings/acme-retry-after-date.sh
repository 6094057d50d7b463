#!/bin/sh
# acme 5.9.0: a Retry-After with a date is off by the machine's time zone: no wait at all east of Greenwich, hours too many west of it.
#
# Guess: ClientV2.retry_after, by which poll_finalization waits, returns the moment that the header means.
# Found (acme 5.9.0 from PyPI, Python 3.11; certbot/certbot issue 9319 is open since 2022): of a number of seconds it makes local time,
# of a date it makes UTC, both without a time zone, and it is compared with local time. Minutes to wait for a date a minute ahead:
#
#     UTC 1    Tokyo -539    Bogotá 301
#
# poll_authorizations does not look at Retry-After at all, and no error of acme's has the header. So read it from the answer yourself.
#
# Needs: python3 with venv, and PyPI. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install acme==5.9.0

cat >"$work/look.py" <<'PYTHON'
import datetime
import email.utils
import time

import requests
from acme.client import ClientV2

answer = requests.Response()
answer.headers["Retry-After"] = email.utils.formatdate(time.time() + 60, usegmt=True)
seconds = (ClientV2.retry_after(answer, 5) - datetime.datetime.now()).total_seconds()
print(round((seconds - 60) / 3600))
PYTHON

for zone in UTC0 TOKYO-9 BOGOTA+5; do
    printf '%s %s\n' "$zone" "$(TZ=$zone "$work/venv/bin/python" "$work/look.py")"
done | tee "$work/found"
printf '%s\n' 'UTC0 0' 'TOKYO-9 -9' 'BOGOTA+5 5' | cmp - "$work/found"
