"""An open bank: where every use case begins.

The store is opened at once, since it fails faster; the backbone is loaded when something first needs it. Importing this
imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from promptbank.config import Settings, load_settings, make_home

if TYPE_CHECKING:
    from promptbank.bank.task_server import TaskServer
    from promptbank.model.backbone import Backbone
    from promptbank.model.forward import LanguageModel

__all__ = ["Bank", "open_bank"]


def _silent(_: str) -> None:
    """Take a message and show it to nobody."""


class Bank:
    """An open bank; use it in a ``with`` block or call `close`.

    Args:
        settings: where it is, and with which backbone.
        say: called with what a person should know: which data are used, licences, what takes long.

    Raises:
        ConfigError: the home cannot be used.
        StoreError: the database cannot be opened.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None] = _silent) -> None:
        from store import open_store  # half a second of SQLAlchemy, which --help does not need

        make_home(settings.home)
        self.settings, self.say = settings, say
        self.store = open_store(settings.db)

    @cached_property
    def backbone(self) -> Backbone:
        """The frozen backbone, in float32."""
        from promptbank.model.backbone import open_backbone

        return open_backbone(self.settings, self.say)

    @cached_property
    def lm(self) -> LanguageModel:
        """The backbone's forward passes."""
        from promptbank.model.forward import LanguageModel

        return LanguageModel(self.backbone.model)

    @cached_property
    def server(self) -> TaskServer:
        """What answers records with the bank's rows."""
        from promptbank.bank.task_server import TaskServer

        return TaskServer(self.store, self.backbone, batch_tokens=self.settings.batch_tokens)

    def close(self) -> None:
        """Close the store's connections."""
        self.store.close()

    def __enter__(self) -> Bank:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_bank(
    home: str | Path | None = None,
    *,
    db: str | None = None,
    backbone: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = _silent,
) -> Bank:
    """Open a bank, making it where there is none.

    What is not given is taken from ``PROMPTBANK_*``, then from ``config.toml`` in the home, then from the defaults.

    Args:
        home: folder of the bank.
        db: SQLite file, or database URL.
        backbone: built-in name, folder, GGUF file or hub id.
        threads: of torch.
        say: see `Bank`, as for the errors.
    """
    flags = {"home": home, "db": db, "backbone": backbone, "threads": threads}
    return Bank(load_settings(flags, os.environ)[0], say)
