"""State of the overlay ends with the cloud, or when it is emptied."""

from __future__ import annotations

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay.state import state_of

closed: list[str] = []


class Asked:
    """What another state asks for while it ends, as a delivery that is under way asks for the queues."""

    def __init__(self, cloud: Cloud):
        del cloud

    def close(self) -> None:
        closed.append("asked")


class Asks:
    def __init__(self, cloud: Cloud):
        self._cloud = cloud

    def close(self) -> None:
        state_of(self._cloud, Asked)
        closed.append("asks")


def test_what_an_ending_state_has_made_anew_ends_too(cloud: Cloud):
    closed.clear()
    state_of(cloud, Asks)
    cloud.reset()
    assert closed == ["asks", "asked"]
