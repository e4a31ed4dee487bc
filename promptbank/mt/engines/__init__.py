"""Translation engines of every kind, behind ``translate.protocols.Engine``: choosing one, and running it."""
