"""Our own translation models: a Marian from scratch, trained on pairs of sentences, saved as a Hugging Face folder.

Nothing here imports torch but ``model``, ``run`` and ``training``; the engines share ``pieces`` and ``hub``.
"""
