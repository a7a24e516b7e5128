"""The catalog: stacks/models/<model>.yaml, one file a model, checked and merged for an environment."""

from infra.catalog.edit import Edit, set_awaiting, set_keep, set_stable, set_versions
from infra.catalog.json_schema import json_schema
from infra.catalog.limits import check_limits
from infra.catalog.load import Catalog, CatalogError, load_catalog
from infra.catalog.recorded import check_recorded
from infra.catalog.schema import (
    Autoscaling,
    Capacity,
    KeptVersion,
    Model,
    Rollout,
    Slo,
)
from infra.catalog.signature import Signature, SignatureField
from infra.catalog.signature_file import record_signature

__all__ = [
    "Autoscaling",
    "Capacity",
    "Catalog",
    "CatalogError",
    "Edit",
    "KeptVersion",
    "Model",
    "Rollout",
    "Signature",
    "SignatureField",
    "Slo",
    "check_limits",
    "check_recorded",
    "json_schema",
    "load_catalog",
    "record_signature",
    "set_awaiting",
    "set_keep",
    "set_stable",
    "set_versions",
]
