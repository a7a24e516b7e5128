"""The real `pulumi` on the emulated cloud of the test's own process: faults can be planted, drift made, the CLI killed.

One world is one account (dev's) with one project folder. What it asserts about is what the CLI did and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.catalog import load_catalog
from infra.registry.target import Target
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.provider.served import ServedProvider
from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.environment import Emulated
from infra.rehearsal.pulumi_cli.project import make_project
from infra.rehearsal.registering import Registering, folder_of, served

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "dev"
PLATFORM, MODELS = f"platform-{ENVIRONMENT}", f"models-{ENVIRONMENT}"


@dataclass
class EngineWorld:
    """`cli` runs pulumi; `cloud` is what it works on."""

    cloud: Cloud
    provider: ServedProvider
    directory: Path
    root: Path = ROOT

    @cached_property
    def emulated(self) -> Emulated:
        return Emulated(
            self.cloud.serve(),
            self.provider.port,
            self.cloud.region,
            self.cloud.operator_access_key_id,
            OPERATOR_SECRET_ACCESS_KEY,
        )

    @cached_property
    def cli(self) -> Cli:
        return Cli(make_project(self.root, self.directory), self.emulated)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    @cached_property
    def target(self) -> Target:
        return Target(
            ENVIRONMENT,
            self.cloud.account_id,
            self.cloud.region,
            self.emulated.endpoint_url,
            access_key_id=self.emulated.access_key_id,
            secret_access_key=self.emulated.secret_access_key,
        )

    def platform_up(self) -> None:
        self.cli.select(PLATFORM)
        self.cli.up(PLATFORM)

    def register_models(self) -> None:
        """Trains and pushes what the catalog of dev serves."""
        registering = Registering(PresetEnvironments(ROOT / ".mainstage" / "environments"), self.directory / "trained")
        for model in served(load_catalog(self.root, ENVIRONMENT)):
            folder = folder_of(self.root, model.model)
            assert folder is not None
            registering.register(model, registering.train(model, folder), self.target)

    def models_up(self) -> None:
        self.cli.select(MODELS)
        self.cli.up(MODELS)

    def all_up(self) -> None:
        self.platform_up()
        self.register_models()
        self.models_up()


@contextmanager
def engine_world(cloud: Cloud, directory: Path) -> Iterator[EngineWorld]:
    """A world in an empty cloud, with nothing up."""
    with ServedProvider(cloud.session) as provider:
        yield EngineWorld(cloud, provider, directory)
