"""What a vendor's official SDKs take from the environment, and where the dialect is served for real."""

from __future__ import annotations

import msgspec


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one dialect.

    base_path: what stands behind scheme, host and port in the base URL that the SDKs take. urls: the variables from
    which SDKs take a base URL, each with its own path. dummies: credentials without which a client does not start,
    none of them real. defaults: what else it needs; here the user's own value wins. account: the variable that names
    a service account's file, where the SDKs want one. cloud, vendor, model: of a leg of which nothing else is said.
    region: the variables that name it. hosts: the real host names, `{region}` in place of the region; empty where
    each customer has one of his own.
    """

    base_path: str = ""
    urls: tuple[tuple[str, str], ...]
    dummies: tuple[tuple[str, str], ...]
    defaults: tuple[tuple[str, str], ...] = ()
    account: str = ""
    cloud: str
    vendor: str
    model: str
    region: tuple[str, ...] = ()
    hosts: tuple[str, ...]
