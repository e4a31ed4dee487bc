"""Put the console onto a service."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI

from promptbank.bank.session import Bank
from promptbank.console import answers, bank_pages, login, playground, review, runs, training
from promptbank.console.app import PATH, Console

__all__ = ["add_console"]

PAGES = (
    *login.PAGES,
    *bank_pages.PAGES,
    *playground.PAGES,
    *review.PAGES,
    *answers.PAGES,
    *runs.PAGES,
    *training.PAGES,
)


def add_console(service: FastAPI, bank: Bank, review: Sequence[Path]) -> None:
    """Add the pages of a bank at `/console` to the application that answers with it.

    Args:
        service: see `promptbank.service.app.create_app`.
        bank: the same that it answers with.
        review: translated folders, or folders of them.
    """
    service.mount(PATH, Console(bank, service, review).application(PAGES))
