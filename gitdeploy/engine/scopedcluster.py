"""A cluster as one installation sees it: see `scoped`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from gitdeploy.engine.cluster import ClusterService, Secret, ServiceSpec
from gitdeploy.engine.scope import Scope
from gitdeploy.engine.swarmcluster import SwarmCluster
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import Credentials

Labelled = TypeVar("Labelled", ClusterService, Secret)
Labels = Mapping[str, str]


class ScopedCluster(SwarmCluster):
    """The same cluster; what is made bears the installation's label, and lists of an app's things have its own alone."""

    def __init__(self, api: Api, scope: Scope, patience: float = 0.0) -> None:
        super().__init__(api, patience)
        self._scope = scope

    def services(self, labels: Labels) -> list[ClusterService]:
        # In the order of the names, the newest first: what bears the new one is newer.
        listed = super().services
        found = (service for old in self._scope.asked(labels) for service in listed(old))
        return [self._shown(service) for service in found if self._scope.wanted(labels, service.labels)]

    def service(self, ref: str) -> ClusterService | None:
        found = super().service(ref)
        return self._shown(found) if found else None

    def create_service(self, spec: ServiceSpec, credentials: Credentials) -> str:
        return super().create_service(replace(spec, labels=self._scope.marked(spec.labels)), credentials)

    def replace_service(self, service: str, spec: ServiceSpec, credentials: Credentials) -> None:
        super().replace_service(service, replace(spec, labels=self._scope.marked(spec.labels)), credentials)

    def ensure_overlay(self, name: str, labels: Labels) -> str:
        return super().ensure_overlay(name, self._scope.marked(labels))

    def create_secret(self, name: str, data: bytes, labels: Labels) -> str:
        return super().create_secret(name, data, self._scope.marked(labels))

    def secrets(self, labels: Labels) -> list[Secret]:
        listed = super().secrets
        found = (secret for old in self._scope.asked(labels) for secret in listed(old))
        return [self._shown(secret) for secret in found if self._scope.wanted(labels, secret.labels)]

    def _shown(self, found: Labelled) -> Labelled:
        return replace(found, labels=self._scope.seen(found.labels))
