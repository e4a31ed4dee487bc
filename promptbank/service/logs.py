"""The log: one line an event, as text or as JSON, with the id of the request that it belongs to; never a text.

What a client sent is logged nowhere: of a request only method, path, status, time and the name of its key.
"""

import json
import logging
from datetime import UTC, datetime

from promptbank.errors import ConfigError
from promptbank.service.request_ids import current_request_id

__all__ = ["LOG_FORMATS", "configure_logs"]

LOG_FORMATS = ("text", "json")


def configure_logs(form: str) -> None:
    """Send what is logged to stderr.

    Raises:
        ConfigError: there is no such format.
    """
    if form not in LOG_FORMATS:
        raise ConfigError(f"the log format is {form!r}; possible: {', '.join(LOG_FORMATS)}")
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        name = current_request_id()
        return super().formatMessage(record) + (f" [{name}]" if name else "")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if name := current_request_id():
            told["request_id"] = name
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told | getattr(record, "facts", {}), ensure_ascii=False, default=str)
