"""How things are found, by Pulumi type. A type that the program registers and that has no rule fails a test."""

from __future__ import annotations

from collections.abc import Mapping

from infra.recover.finding import Rule
from infra.recover.rules_network import NETWORK
from infra.recover.rules_predictions import CATALOGUE, DELIVERY, FUNCTIONS, HTTP_APIS, QUEUES
from infra.recover.rules_rights import BUCKETS, RIGHTS
from infra.recover.rules_serving import SCALING, SERVING, WATCHING

RULES: Mapping[str, Rule] = {
    **NETWORK,
    **RIGHTS,
    **BUCKETS,
    **SERVING,
    **SCALING,
    **WATCHING,
    **HTTP_APIS,
    **FUNCTIONS,
    **QUEUES,
    **DELIVERY,
    **CATALOGUE,
}
