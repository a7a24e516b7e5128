"""A drill's own place in a world: its models, its clients, the minutes that pass, what was done and told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from infra.catalog import load_catalog
from infra.catalog.edit import set_keep, set_stable
from infra.layers.names import endpoint_name
from infra.registry.push import Pushed, push
from infra.registry.registry import Registry
from infra.rehearsal.drills import minute
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.drill import DrillFailed
from infra.rehearsal.drills.timeline import Timeline
from infra.rehearsal.drills.went import Went
from infra.rehearsal.drills.world import World, report_of_a_check

BUSY = 40
"""A minute's traffic where guards judge: half of it, a canary's share, is enough for their minimum."""
FEW = 12
"""A minute's traffic where it proves nothing: enough to see who answers, and each request costs."""
LOOK_SECONDS = 0.05
STALLED_SECONDS = 3.0
"""Real seconds in which nothing changed after which a minute passes although nothing said that it waits for time."""
AT_ONCE_SECONDS = 40
"""Real seconds that an up takes at most which has nothing to wait for, on a machine with much else to do."""
LONGEST_MINUTES = 90
LONGEST_SECONDS = 180


@dataclass
class Stage:
    """What a drill works with. `model` is the name of its first model."""

    world: World
    model: str
    timeline: Timeline = field(default_factory=Timeline)
    answers: list[minute.Answer] = field(default_factory=list)
    """Every answer that clients of `model` got."""
    config: dict[str, str] = field(default_factory=dict)
    """What takes the place of keys of the stack file."""
    requests: int = BUSY
    """Of clients, through the front door, a minute."""
    batch: int = 0
    """Of a batch job in the account, which asks the endpoint itself, a minute."""
    _running: list[Running] = field(default_factory=list)
    _spans: list[tuple[str, datetime]] = field(default_factory=list)
    """Of each minute: the configuration that was being released, and when it began."""

    def client(self, service: str) -> Any:
        return self.world.client(service)

    @property
    def endpoint(self) -> str:
        return endpoint_name(self.world.target.environment, self.model)

    # -- what a person does ---------------------------------------------------------------------------------

    def register(self, version: int, behaviour: Behaviour | None = None, *, model: str = "") -> Pushed:
        """Registers a version of the model that behaves so; None: well."""
        name = model or self.model
        folder = (behaviour or Behaviour()).write(self.world.folder / "versions" / f"{name}-{version}", version)
        return push(
            load_catalog(self.world.root, self.world.target.environment).models[name],
            folder,
            Registry.of(self.world.target),
            environments=self.world.environments,
            number=version,
            check=report_of_a_check,
        )

    def file(self, model: str = "") -> Path:
        return self.world.root / "stacks" / "models" / f"{model or self.model}.yaml"

    def ask_for(self, version: int, *, keep: tuple[int, ...] = (), model: str = "") -> None:
        """Edits the model file: this version is to serve."""
        file = self.file(model)
        set_keep(file, keep).write()
        set_stable(file, version).write()
        self.timeline.mark(f"the catalog asks for version {version} of {model or self.model}")

    def serve(self, version: int = 1, behaviour: Behaviour | None = None, *, model: str = "", **asked: Any) -> None:
        """A model that serves this version: written, registered, up. RuntimeError when not: no drill is about that."""
        self.world.write(model or self.model, **asked)
        self.register(version, behaviour, model=model)
        self.ask_for(version, model=model)
        # A minute that passes while a first endpoint is made has nobody who could answer.
        clients, self.requests = self.requests, self.requests if self.live() else 0
        went, self.requests = self.up(), clients
        if not went.ok:
            raise RuntimeError(f"the first up did not end well: {went.told}")

    def begin(self, *, minutes: int = 1, **asked: Any) -> str:
        """Most drills' beginning: version 1 serves, and its clients have had so many minutes. `asked`: of the model
        file. Returns the configuration that serves."""
        self.serve(1, **asked)
        self.minutes(minutes)
        return self.serving

    def prepare(
        self, version: int, behaviour: Behaviour | None = None, *, keep: tuple[int, ...] = (1,), model: str = ""
    ) -> None:
        """Registers a version and asks for it in the file: the next `up` is to release it."""
        self.register(version, behaviour, model=model)
        self.ask_for(version, keep=keep, model=model)

    def release(
        self, version: int, behaviour: Behaviour | None = None, *, keep: tuple[int, ...] = (1,), model: str = ""
    ) -> Went:
        """Registers a version, asks for it and runs `up`."""
        self.prepare(version, behaviour, keep=keep, model=model)
        return self.up()

    def start_release(self, version: int) -> Running:
        """As `release`, and comes back when the version has baked for a minute."""
        self.prepare(version)
        running = self.start_up()
        running.until_it_waits()
        self.minute()
        return running

    def up(self, *, note: bool = True) -> Went:
        """Applies the files; minutes of traffic pass while an endpoint waits for them."""
        return self.up_while(lambda: None, note=note)

    def up_at_once(self) -> Went:
        """As `up`, and no minute passes. Raises DrillFailed when it waits for one."""
        went = self.start_up().at_once()
        self.timeline.mark(went.summary, "told")
        return went

    def up_while(self, each_minute: Callable[[], None], *, note: bool = True) -> Went:
        """As `up`; `each_minute` is called after each minute that passed."""
        return self.end(self.start_up(), each_minute, note=note)

    def end(self, running: Running, each_minute: Callable[[], None] = lambda: None, *, note: bool = True) -> Went:
        """Minutes pass until an `up` that was started has ended; `note`: the timeline tells how."""
        went = running.wait(each_minute)
        if note:
            self.timeline.mark(went.summary, "told")
        return went

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Waits, in real time, until something is so. Raises DrillFailed."""
        end = time.monotonic() + LONGEST_SECONDS
        while not reached():
            if time.monotonic() > end:
                raise DrillFailed(f"not within {LONGEST_SECONDS} s: {what}")
            time.sleep(LOOK_SECONDS)

    def start_up(self) -> Running:
        """Starts an `up` and comes back at once."""
        self._running.append(running := Running(self))
        return running

    def leave(self) -> None:
        """Waits for what a drill that was broken off has left under way, and has its `config` taken back (which may
        protect its resources from being deleted): the next one needs the stack."""
        end = time.monotonic() + LONGEST_SECONDS
        while any(each.under_way for each in self._running) and time.monotonic() < end:
            self.world.cloud.clock.advance(minute.SECONDS)
            time.sleep(LOOK_SECONDS)
        if self.config:
            self.config = {}
            with suppress(DrillFailed):  # it has failed already
                self.up(note=False)

    def preview(self) -> Went:
        return self.world.engines.preview(self.config)

    # -- what clients do ------------------------------------------------------------------------------------

    def minute(self) -> None:
        """A minute of traffic passes."""
        if len(self.timeline.minutes) >= LONGEST_MINUTES:
            raise DrillFailed(f"{LONGEST_MINUTES} minutes have passed and the drill has not ended")
        released = (self.live().get("PendingDeploymentSummary") or {}).get("EndpointConfigName", "")
        began = self.world.cloud.clock.now().replace(second=0, microsecond=0)
        answers = minute.send(self.world, self.model, self.requests)
        minute.ask_itself(self.world, self.model, self.batch)
        self.answers += answers
        self.timeline.minutes.append(minute.let_pass(self.world, self.model, len(self.timeline.minutes), answers))
        self._spans.append((released, began))

    def count_the_new_fleet(self) -> None:
        """Fills in, minute by minute, what reached the fleet that was being released. CloudWatch has it a while after
        the minute."""
        for number, (released, began) in enumerate(self._spans):
            if released:
                end = began + timedelta(seconds=minute.SECONDS)
                counted = minute.invocations(self.world, self.model, released, began, end)
                self.timeline.minutes[number] = replace(self.timeline.minutes[number], new_fleet=counted)

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.minute()

    def settle(self) -> None:
        """Minutes pass until the endpoint has nothing under way, whoever began it."""
        end = time.monotonic() + LONGEST_SECONDS
        while not self.at_rest():
            if time.monotonic() > end:
                raise DrillFailed(f"{self.endpoint} does not come to rest: {self.live()}")
            if self.waits():
                self.minute()
            time.sleep(LOOK_SECONDS)

    # -- what is seen ---------------------------------------------------------------------------------------

    def live(self) -> dict[str, Any]:
        """The endpoint as SageMaker describes it; empty when it is not there."""
        return minute.described(self.world, self.model)

    @property
    def serving(self) -> str:
        """Name of the live configuration; empty for none."""
        return str(self.live().get("EndpointConfigName", ""))

    def waits(self) -> bool:
        """Whether the endpoint waits for time to pass."""
        return minute.waits(self.live())

    def rings(self) -> bool:
        """Whether a guard is in ALARM: an `up` waits a while for it to stop."""
        return "ALARM" in minute.guards(self.world, self.model).values()

    def at_rest(self) -> bool:
        """Whether nothing is under way."""
        return minute.at_rest(self.live())


class Running:
    """An `up` under way in a thread of its own."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self._went: list[Went | BaseException] = []
        self._thread = threading.Thread(target=self._run, name="mainstage-drill-up", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._went.append(self._stage.world.engines.up(self._stage.config))
        except BaseException as error:
            self._went.append(error)

    @property
    def under_way(self) -> bool:
        return self._thread.is_alive()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Waits, in real time, until something is so while it is under way. Raises DrillFailed."""
        end = time.monotonic() + LONGEST_SECONDS
        while not reached():
            if not self.under_way:
                raise DrillFailed(f"the up ended before {what}: {self.wait().told}")
            if time.monotonic() > end:
                raise DrillFailed(f"not within {LONGEST_SECONDS} s: {what}")
            time.sleep(LOOK_SECONDS)

    def until_it_waits(self) -> None:
        """Waits until the endpoint bakes."""
        self.until(self._stage.waits, f"{self._stage.endpoint} waits for time to pass")

    def at_once(self) -> Went:
        """How it ended, without a minute that passes. Raises DrillFailed when it does not, and what it raised."""
        self._thread.join(AT_ONCE_SECONDS)
        if self.under_way:
            raise DrillFailed(f"the up had to end at once, and waits for {self._stage.endpoint}: {self._stage.live()}")
        return self._ended()

    def wait(self, each_minute: Callable[[], None] = lambda: None) -> Went:
        """Lets minutes pass until it has ended. Raises DrillFailed when it does not, and what it raised."""
        end, seen, since = time.monotonic() + LONGEST_SECONDS, "", time.monotonic()
        while self.under_way:
            if time.monotonic() > end:
                raise DrillFailed(f"the up has not ended within {LONGEST_SECONDS} s; {self._stage.live()}")
            endpoints = minute.all_described(self._stage.world)
            now = str(endpoints)
            if now != seen:
                seen, since = now, time.monotonic()
            quiet = time.monotonic() - since
            stalled = quiet > STALLED_SECONDS and not all(map(minute.at_rest, endpoints))
            if any(map(minute.waits, endpoints)) or stalled or (quiet > 1 and self._stage.rings()):
                self._stage.minute()
                each_minute()
                since = time.monotonic()
            self._thread.join(LOOK_SECONDS)
        return self._ended()

    def _ended(self) -> Went:
        ended = self._went[0]
        if isinstance(ended, BaseException):
            raise ended
        return ended


def expect(seen: object, holds: bool, problem: str) -> None:
    """Raises DrillFailed with the problem unless it holds. `seen` is there for who debugs."""
    if not holds:
        raise DrillFailed(problem if isinstance(seen, Went) else f"{problem}; seen: {seen!r}")
