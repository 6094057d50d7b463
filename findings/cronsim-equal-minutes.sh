#!/bin/sh
# cronsim 2.8: two spellings of the same minutes, "*/30 2 * * *" and "0,30 2 * * *", are due at other times when clocks change.
#
# Guess: a field names a set of minutes; "*/30" and "0,30" name the same one, so both lines are due at the same times.
# Found (cronsim 2.8 from PyPI, Python 3.11, Europe/Berlin in 2026): a line with "*" at the beginning of its minutes or hours goes by
# the time that passes, one without goes by the clock; a step makes it one with "*".
#
#     clocks forward, 29 March:   */30: none           0,30: 03:00+02:00
#     clocks back, 25 October:    */30: 02:00+02:00 02:30+02:00 02:00+01:00 02:30+01:00
#                                 0,30: 02:00+02:00 02:30+02:00
#
# So a job of the hour that is left out or comes twice runs never or twice as often in the one spelling, once in the other. Name the
# minutes one by one where a job must run on each day, and once.
#
# Needs: python3 with venv and time zones, and PyPI. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install cronsim==2.8 tzdata==2025.2

cat >"$work/look.py" <<'PYTHON'
from datetime import date, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

ZONE = ZoneInfo("Europe/Berlin")


def due(line: str, day: date) -> str:
    found = []
    for moment in CronSim(line, datetime(day.year, day.month, day.day, tzinfo=ZONE)):
        if moment.date() != day:
            return " ".join(found) or "none"
        found.append(moment.isoformat()[11:16] + moment.isoformat()[-6:])
    return ""


for day in (date(2026, 3, 29), date(2026, 10, 25)):
    for minutes in ("*/30", "0,30"):
        print(f"{day} {minutes}: {due(f'{minutes} 2 * * *', day)}")
PYTHON

cat >"$work/expected" <<'TEXT'
2026-03-29 */30: none
2026-03-29 0,30: 03:00+02:00
2026-10-25 */30: 02:00+02:00 02:30+02:00 02:00+01:00 02:30+01:00
2026-10-25 0,30: 02:00+02:00 02:30+02:00
TEXT

"$work/venv/bin/python" "$work/look.py" | tee "$work/found"
cmp "$work/expected" "$work/found"
