"""Serve an open bank over HTTP until stopped."""

import socket

import uvicorn

from promptbank.bank.select import frozen_tasks
from promptbank.bank.session import Bank
from promptbank.errors import ConfigError
from promptbank.service.app import RequestLimits, create_app

__all__ = ["serve"]


def serve(bank: Bank, host: str, port: int) -> None:
    """Serve until stopped; port 0 takes a free one.

    Raises:
        ConfigError: nothing can listen there.
    """
    with _listening(host, port) as listener:
        limits = RequestLimits(bank.settings.max_records, bank.settings.max_body)
        app = create_app(bank.server, limits)
        names = sorted({info.scope.taskname for info in frozen_tasks(bank.store, bank.backbone.fingerprint)})
        address = f"http://{host}:{listener.getsockname()[1]}"
        bank.display.say(f"serving {', '.join(names) or 'no task yet'} on {address} (docs at /docs)")
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Bind before the backbone is loaded: a taken port should not cost half a minute to find out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as exc:  # UnicodeError: a host that cannot be a name, such as "a..b"
        listener.close()
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot listen on {host}:{port} ({reason}); choose another --port or --host") from exc
    return listener
