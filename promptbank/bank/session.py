"""A bank in use: what every use case takes. Importing this imports no torch."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from promptbank.bank.display import Display
from promptbank.config import Settings, default_db, default_file, load_settings, make_home

if TYPE_CHECKING:
    from promptbank.bank.task_server import TaskServer
    from promptbank.model.backbone import Backbone
    from promptbank.model.forward import LanguageModel
    from store import Store

__all__ = ["Bank", "open_bank"]


class Bank:
    """A bank in use; the store is opened and the backbone loaded when something first needs them.

    Use it in a ``with`` block or call `close`. Errors of settings, store and backbone come from what first needs them.

    Args:
        settings: where it is, and with which backbone.
        display: how a person is told what goes on; nothing is shown by default.
    """

    def __init__(self, settings: Settings, display: Display | None = None) -> None:
        self.settings, self.display = settings, display or Display()

    @cached_property
    def store(self) -> Store:
        """The database, which must be there."""
        from store import open_store  # half a second of SQLAlchemy, which --help does not need

        return open_store(self.settings.db, create=False)

    def make(self) -> Store:
        """Return the database for a use case that writes: it and its home are made where they are not there."""
        from store import open_store

        if "store" not in vars(self):
            make_home(self.settings.home)
            self.store = open_store(self.settings.db)
        return self.store

    def store_if_there(self) -> Store | None:
        """Return the database for a use case that only looks for cards in it.

        None when the home has none yet; one that was named must be there.
        """
        home = self.settings.home
        is_missing = self.settings.db == default_db(home) and not default_file(home).exists()
        return None if is_missing else self.store

    @cached_property
    def backbone(self) -> Backbone:
        """The frozen backbone, in float32."""
        from promptbank.model.backbone import open_backbone

        with self.display.busy(f"loading {self.settings.backbone}"):
            return open_backbone(self.settings, self.display.say)

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
        """Close the store's connections, if it was opened."""
        if "store" in vars(self):
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
    display: Display | None = None,
) -> Bank:
    """Open a bank; the first use case that writes makes it where there is none.

    What is not given is taken from ``PROMPTBANK_*``, then from ``promptbank.toml`` in the home, then from the defaults.

    Args:
        home: folder of the bank.
        db: SQLite file, or database URL.
        backbone: built-in name, folder, GGUF file or hub id.
        threads: of torch.
        display: how a person is told what goes on; ``Display(print)`` prints messages.

    Raises:
        ConfigError: a setting is wrong.
    """
    flags = {"home": home, "db": db, "backbone": backbone, "threads": threads}
    return Bank(load_settings(flags, os.environ)[0], display)
