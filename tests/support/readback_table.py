"""Where AWS shows each property that the program sets, by Pulumi type."""

from __future__ import annotations

from readback import Table
from readback_account import BUCKETS, NETWORK, RIGHTS
from readback_functions import FUNCTIONS, QUEUES
from readback_http_apis import HTTP_APIS
from readback_predictions import ASKING, CATALOGUE, DELIVERY
from readback_serving import SCALING, SERVING, WATCHING

TABLE: Table = {
    **NETWORK,
    **RIGHTS,
    **BUCKETS,
    **WATCHING,
    **SCALING,
    **SERVING,
    **HTTP_APIS,
    **FUNCTIONS,
    **QUEUES,
    **DELIVERY,
    **CATALOGUE,
    **ASKING,
}
