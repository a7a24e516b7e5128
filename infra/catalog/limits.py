"""Model files against the settings of the environment that is to serve them."""

from __future__ import annotations

from collections.abc import Iterator

from mainstage.runtime_presets import image_uri, preset_named

from infra.catalog.load import Catalog, CatalogError
from infra.problems import Problem
from infra.settings.schema import Limits, ModelsSettings
from infra.yaml_lines import Location


def check_limits(catalog: Catalog, settings: ModelsSettings) -> None:
    """Raises CatalogError for every model that asks for more, less or other than the environment's settings allow."""
    problems = [problem for name in catalog.models for problem in _problems(catalog, name, settings)]
    if problems:
        raise CatalogError(problems)


def _problems(catalog: Catalog, name: str, settings: ModelsSettings) -> Iterator[Problem]:
    model, limits = catalog.models[name], settings.limits
    where = f"in {settings.environment}"
    see = f"change it, or mainstage:limits in stacks/Pulumi.models-{settings.environment}.yaml"
    capacity = model.capacity
    if not limits.allows_instance_type(capacity.instance_type):
        yield catalog.problem(
            name, ("capacity", "instance_type"), f"not allowed {where}",
            got=capacity.instance_type, allowed=", ".join(limits.instance_types), fix=see,
        )  # fmt: skip
    counts: dict[Location, int] = {("capacity", "instance_count"): capacity.instance_count}
    if capacity.autoscaling:
        counts[("capacity", "autoscaling", "minimum")] = capacity.autoscaling.minimum
        counts[("capacity", "autoscaling", "maximum")] = capacity.autoscaling.maximum
    for location, count in counts.items():
        if not limits.minimum_instances <= count <= limits.maximum_instances:
            yield catalog.problem(
                name, location, f"not allowed {where}", got=str(count), allowed=_range(limits), fix=see
            )  # fmt: skip
    runtimes: dict[Location, str] = {("runtime",): model.runtime}
    runtimes |= {("keep", index, "runtime"): kept.runtime for index, kept in enumerate(model.keep) if kept.runtime}
    for location, runtime in runtimes.items():
        try:
            image_uri(preset_named(runtime), settings.region)
        except ValueError as error:
            yield catalog.problem(name, location, str(error), got=runtime)


def _range(limits: Limits) -> str:
    low, high = limits.minimum_instances, limits.maximum_instances
    return str(low) if low == high else f"{low} to {high}"
