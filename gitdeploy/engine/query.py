"""The parameters of POST /build that both builders know. Pure.

Source: https://docs.docker.com/reference/api/engine/ (ImageBuild).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from gitdeploy.engine.types import BuildRequest

Query = list[tuple[str, str]]


def common(request: BuildRequest, args: Mapping[str, str]) -> Query:
    """Return what the request asks for, with these build arguments; nothing that it leaves at its default."""
    query = [("dockerfile", request.dockerfile), *(("t", tag) for tag in request.tags)]
    for name, value in (("buildargs", dict(args)), ("labels", dict(request.labels)), ("cachefrom", list(request.cache_from))):
        query += [(name, json.dumps(value))] if value else []
    query += [("target", request.target)] if request.target else []
    return query + [(name, "1") for name, wanted in (("nocache", request.no_cache), ("pull", request.pull)) if wanted]
