"""Records what the release of this checkout leaves in each of the six stacks: tests/upgrade/releases/vX.Y.Z.

Brings every environment up in an emulated account, one after the other, and writes the graphs and the stack and model
files that they were made with. Run it when a release is cut (CONTRIBUTING.md), and commit what it writes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra import settings
from infra.catalog import load_catalog
from infra.program import ROOT, program_for
from infra.registry.target import Target
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.engine import Engine, urns
from infra.rehearsal.provider import AwsProvider
from infra.rehearsal.registering import Registering, folder_of, served
from infra.settings import ENVIRONMENTS
from infra.upgrade.judge import RELEASED, judge
from infra.upgrade.planning import plan
from infra.upgrade.recorded import FOLDER, Release, read_stack, record_stacks
from infra.version import RELEASE


def record_environment(environment: str, scratch: Path) -> dict[str, str]:
    """The graph files of an environment's two stacks, by stack."""
    stacks = {layer: f"{layer}-{environment}" for layer in ("platform", "models")}
    config = {layer: settings.stack_config(settings.stack_file(ROOT, stack)) for layer, stack in stacks.items()}
    loaded = settings.load_platform(config["platform"], stacks["platform"], ROOT)
    cloud = Cloud(account_id=loaded.account_id, region=loaded.region, directory=scratch / "cloud")
    registering = Registering(PresetEnvironments(ROOT / ".mainstage" / "environments"), scratch / "trained")
    with cloud:
        target = Target(
            environment,
            loaded.account_id,
            loaded.region,
            cloud.serve(),
            access_key_id=cloud.operator_access_key_id,
            secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
        )
        engine = Engine(provider=AwsProvider(cloud.session))
        engine.up(stacks["platform"], program_for(stacks["platform"]), config["platform"]).check()
        for model in served(load_catalog(ROOT, environment)):
            folder = folder_of(ROOT, model.model)
            if folder is None:
                raise SystemExit(
                    f"{environment} serves {model.model}, and this checkout has no folder to train it from"
                )
            registering.register(model, registering.train(model, folder), target)
        engine.up(stacks["models"], program_for(stacks["models"]), config["models"]).check()
        # Once more: a first `up` leaves what the next one's refresh reads otherwise.
        states = {}
        for layer, stack in stacks.items():
            again = engine.up(stack, program_for(stack), config[layer]).check()
            changed = [step for step in again.steps if step.op not in ("same", "read", "refresh")]
            if changed:
                raise SystemExit(f"{stack}: a second up is not quiet: {changed}")
            states[stack] = engine.state.resources(stack)
        return record_stacks(states)


def write(graphs: Mapping[str, str], folder: Path) -> Release:
    """Writes the release's folder anew."""
    if folder.exists():
        shutil.rmtree(folder)
    release = Release(RELEASE, folder)
    shutil.copytree(ROOT / "stacks", folder / "stacks")
    (folder / "graphs").mkdir()
    for stack, text in graphs.items():
        release.graph(stack).write_text(text, encoding="utf-8")
    return release


def settle(release: Release) -> None:
    """Gives the models and their configurations the names that they have with masked ids: their fingerprints are made
    of what the platform exports."""
    for stack, run in plan(release).items():
        ops = {step.urn: step.op for step in run.steps if urns.type_of(step.urn) in RELEASED}
        made = dict(urn.rsplit("-", 1) for urn, op in ops.items() if op == "create")
        text = release.graph(stack).read_text(encoding="utf-8")
        for urn, op in ops.items():
            beginning, fingerprint = urn.rsplit("-", 1)
            if op == "delete":
                text = text.replace(fingerprint, made[beginning])
        release.graph(stack).write_text(text, encoding="utf-8")


def main() -> None:
    graphs: dict[str, str] = {}
    for environment in ENVIRONMENTS:
        with tempfile.TemporaryDirectory() as scratch:
            print(f"{environment}: up", flush=True)
            graphs |= record_environment(environment, Path(scratch))
    release = write(graphs, ROOT / FOLDER / f"v{RELEASE}")
    settle(release)
    # What was recorded must read back as what stands: the same release plans nothing.
    for stack, run in plan(release).items():
        verdict = judge(read_stack(release, stack), run)
        if verdict.lost or verdict.changes:
            lines = [*map(str, verdict.lost), *verdict.changes]
            sys.exit("\n  ".join([f"{stack}: this release plans changes to itself:", *lines]))
    size = sum(len(text) for text in graphs.values())
    print(f"{release.folder.relative_to(ROOT)}: {len(graphs)} stacks, {size // 1024} KiB")


if __name__ == "__main__":
    main()
