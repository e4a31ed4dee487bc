"""What ``promptbank serve`` does, once its options are read."""

from __future__ import annotations

import logging
import socket

import uvicorn

from promptbank.bank.select import frozen_tasks
from promptbank.cli.output import say
from promptbank.cli.session import opened_desk
from promptbank.config import Settings
from promptbank.errors import ConfigError
from promptbank.service.app import Limits, create_app


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    listener = _listen(host, port)
    with opened_desk(settings) as desk, listener:
        app = create_app(desk, Limits(settings.max_records, settings.max_body))
        names = sorted({i.scope.taskname for i in frozen_tasks(desk.store, desk.backbone.fingerprint)})
        say(f"serving {', '.join(names) or 'no task yet'} on http://{host}:{listener.getsockname()[1]} (docs at /docs)")
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
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
