"""What an instance type's name says of it."""

import re
from typing import Optional

_NAME = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.(?P<times>\d*)(?P<size>medium|large|xlarge)")
_OTHERWISE = {"ml.c4.8xlarge": 36}
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cpu-options-supported-instances-values.html"""


def vcpus(instance_type: str) -> Optional[int]:
    """How many vCPUs an instance has; None for a name without a size that tells it.

    A size is a number of vCPUs: large 2, xlarge 4, each further xlarge 4 more; medium is 1, but 2 where the family is
    burstable. A test holds this against EC2's own list for every type that SageMaker hosts.
    """
    if instance_type in _OTHERWISE:
        return _OTHERWISE[instance_type]
    name = _NAME.fullmatch(instance_type)
    if name is None:
        return None
    if name["size"] == "medium":
        return 2 if name["family"].startswith("t") else 1
    return 2 if name["size"] == "large" else 4 * int(name["times"] or 1)
