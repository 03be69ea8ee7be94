"""The HTTP service: `create_app()` for any WSGI server, `serve` for the hardened one."""

from shelfwise.service.app import create_app, warm_up

__all__ = ["create_app", "warm_up"]
