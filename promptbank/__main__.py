"""``python -m promptbank``."""

from promptbank.cli import main

if __name__ == "__main__":
    main()
