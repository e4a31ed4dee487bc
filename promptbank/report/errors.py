"""The errors of reports.

The tree::

    PromptBankError         in ``promptbank.errors``
    └── ReportError         a report or a plot cannot be made or written
"""

from promptbank.errors import PromptBankError


class ReportError(PromptBankError):
    """A report or a plot cannot be made of this, or cannot be written there."""
