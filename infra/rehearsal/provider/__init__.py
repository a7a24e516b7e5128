"""The emulated `aws` provider: Pulumi's provider protocol over a table of rows, one a resource type."""

from __future__ import annotations

from infra.rehearsal.provider.errors import InitializationFailed, ProviderError
from infra.rehearsal.provider.provider import AwsProvider
from infra.rehearsal.provider.values import UNKNOWN

__all__ = ["UNKNOWN", "AwsProvider", "InitializationFailed", "ProviderError"]
