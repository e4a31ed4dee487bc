"""Translators learnt as an update of the backbone: training, packing, decoding."""
