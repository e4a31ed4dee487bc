"""The errors of training our own translation models.

The tree::

    TranslateError
    └── NmtError            pairs, pieces, model folders, runs and checkpoints that cannot be used
"""

from __future__ import annotations

from translate.errors import TranslateError

__all__ = ["NmtError"]


class NmtError(TranslateError):
    """A model cannot be trained, saved or loaded as asked."""
