"""The HTTP service: `create_app()` makes the WSGI application."""

from shelfwise.service.app import create_app, has_key, warm_up
from shelfwise.service.kept import close, store

__all__ = ["close", "create_app", "has_key", "store", "warm_up"]
