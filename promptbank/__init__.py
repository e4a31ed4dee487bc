"""promptbank: one frozen GPT backbone, one stored prompt for every task.

The room that knows the others (``tasks``, ``store``, ``translate``); see ``docs/overview.md`` for the way through it.
Importing it does nothing: no folder, setting, engine or model is touched before a function is called.
"""

__version__ = "0.2.0"

__all__ = ["__version__"]
