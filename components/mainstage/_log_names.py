"""What the parts of a prediction log are called: one place for whoever makes, watches or shows them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LogNames:
    """Names that follow from the log's name."""

    log_name: str

    @property
    def stream(self) -> str:
        return f"{self.log_name}-predictions"

    @property
    def transform(self) -> str:
        return f"{self.log_name}-transform"

    @property
    def replay(self) -> str:
        return f"{self.log_name}-replay"

    @property
    def spool(self) -> str:
        return f"{self.log_name}-spool"

    @property
    def dead_letters(self) -> str:
        return f"{self.log_name}-spool-dead"
