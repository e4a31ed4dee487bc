"""Opening what a command needs: the home, the store, the backbone. Only commands that use a model import this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from promptbank.cli.output import say
from promptbank.config import Settings, make_home
from promptbank.model.backbone import Backbone, open_backbone
from store import Store, open_store

__all__ = ["opened_bank", "opened_store", "the_backbone"]


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """Open the bank's store, making the home first."""
    make_home(settings.home)
    with open_store(settings.db) as store:
        yield store


def the_backbone(settings: Settings) -> Backbone:
    """Load the backbone with the threads asked for; says what takes long."""
    make_home(settings.home)
    return open_backbone(settings, say)


@contextmanager
def opened_bank(settings: Settings) -> Iterator[tuple[Store, Backbone]]:
    """Open store and backbone; the store first, since it fails faster."""
    with opened_store(settings) as store:
        yield store, the_backbone(settings)
