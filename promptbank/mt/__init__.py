"""The backbone as a translator: its training on pairs of sentences, and the engine that `translate` uses."""
