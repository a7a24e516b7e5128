"""The emulated `aws` provider: Pulumi's provider protocol over a table of rows, one a resource type.

Real: every AWS call, its order, what replaces, what a refresh finds, what a failure leaves in the state. Shortened, and
said in the error where it matters: retry windows for IAM propagation (one second for two minutes), throttling retries
(three for twenty-five), fixed sleeps and repeated "equal" polls. Checked earlier than by the real provider: AWS's own
constraints, which Check puts to the strict validator so that a preview already refuses them.
"""

from __future__ import annotations

from infra.rehearsal.provider.errors import InitializationFailed, ProviderError
from infra.rehearsal.provider.provider import AwsProvider
from infra.rehearsal.provider.values import UNKNOWN

__all__ = ["UNKNOWN", "AwsProvider", "InitializationFailed", "ProviderError"]
