"""Delivery: a report goes into a folder, by mail, or to a webhook, and never twice unasked.

`targets` says where to, `sending` makes one try; `files`, `mail` and `webhook` know the ways.
"""
