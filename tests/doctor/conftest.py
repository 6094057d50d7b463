"""The installation that doctor is tested on."""

from __future__ import annotations

import pytest

from tests.doctor.patient import APP, NO_ENGINE, Patient
from tests.support.gogs import Gogs
from tests.support.installed import install


@pytest.fixture
def patient(gogs_dir: Gogs) -> Patient:
    """An installation in which only the engine is missing."""
    site = install(gogs_dir, {"DOCKER_HOST": NO_ENGINE})
    gogs_dir.create_repository(APP)
    site.enrol(APP, "127.0.0.1:5000/dev-app", 8080, f'[apps."{APP}".push]\nenabled = false\n')
    assert site.within("enrol", APP)[0] == 0
    patient = Patient(site)
    patient.create_database()
    return patient
