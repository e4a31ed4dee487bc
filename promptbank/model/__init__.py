"""The frozen backbone and what acts on it: loading, rendering, injection of virtual tokens, prompt encoders."""
