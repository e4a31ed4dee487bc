"""The errors of the room ``translate``.

The tree::

    TranslateError      base of everything a user can cause here
"""


class TranslateError(Exception):
    """Base of the errors raised by translate; the message is one helpful line."""
