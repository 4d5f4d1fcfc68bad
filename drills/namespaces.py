"""Linux namespaces: makes a private user, mount and network namespace, and joins one that is there.

Standard library only, and no threads: whoever enters a user namespace must have one thread (unshare(2), setns(2)).
The user keeps its id inside. An ordinary user is the only one there is in the namespace; root brings all the users of
its own namespace along, so that its programs see files and change users as they do outside.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

_NEW_MOUNTS = 0x0002_0000
_NEW_USER = 0x1000_0000
_NEW_NETWORK = 0x4000_0000
KINDS = {"user": _NEW_USER, "mnt": _NEW_MOUNTS, "net": _NEW_NETWORK}
"""The namespaces of a private network, by their names in /proc/<pid>/ns, in the order in which they are joined."""

_SETTINGS = {
    "kernel.unprivileged_userns_clone": ("0", "set it to 1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "set it to 0, or give the program an AppArmor profile"),
    "user.max_user_namespaces": ("0", "raise it"),
    "user.max_net_namespaces": ("0", "raise it"),
    "user.max_mnt_namespaces": ("0", "raise it"),
}
"""Kernel settings that forbid namespaces: the value that does, and what to do about it."""


class ForbiddenError(Exception):
    """The machine does not let us make a private network. The text says what failed, and what is likely to help."""


def make() -> None:
    """Put this process into new namespaces of all kinds, with every capability in them.

    Raises `ForbiddenError`. The process must have one thread.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK
    if uid == 0:
        _doing("writing the user namespace's maps", lambda: _with_maps_of_root(lambda: _unshare(flags)))
        return
    _unshare(flags)
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        path = f"/proc/self/{name}"
        _doing(f"writing {path}", partial(_write, path, content))


def own() -> tuple[int, ...]:
    """Descriptors of the namespaces that this process is in, in the order of `KINDS`."""
    return tuple(os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in KINDS)


def join(descriptors: tuple[int, ...]) -> None:
    """Put this process into the namespaces that `own` gave to another. Raises `OSError`.

    The process must have one thread. It stays in its folder.
    """
    folder = os.getcwd()  # noqa: PTH109  it is only handed back
    for descriptor, kind in zip(descriptors, KINDS.values(), strict=True):
        _call("setns", descriptor, kind)
    os.chdir(folder)


def mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    """Mount something on a path, with no data for the filesystem. Raises `ForbiddenError`."""
    _doing(
        f"mounting on {target}",
        lambda: _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None),
    )


def unmount(target: str, flags: int = 0) -> None:
    """Unmount, as umount2(2) does. Raises `ForbiddenError`."""
    _doing(f"unmounting {target}", lambda: _call("umount2", target.encode(), flags))


def explain(doing: str, code: int, settings: Mapping[str, str], filtered: bool) -> str:
    """What to tell a person whose machine forbids a step. Pure.

    settings: what the kernel's settings are, by name, those that there are. filtered: whether a seccomp filter is on.
    """
    why = [
        f"{name} is {settings[name]}: {remedy}"
        for name, (forbidding, remedy) in _SETTINGS.items()
        if settings.get(name) == forbidding
    ]
    if not why and filtered:
        why = [
            "a seccomp filter is on, as in most containers: run the container with one that allows unshare and mount"
        ]
    if not why and code == errno.EINVAL:
        why = ["the kernel has no user or network namespaces"]
    said = f"{doing}: {os.strerror(code)} ({errno.errorcode.get(code, code)})"
    return "; ".join([said, *why])


def _doing(what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError as error:
        settings = {
            name: path.read_text(encoding="ascii").strip()
            for name in _SETTINGS
            if (path := Path("/proc/sys", *name.split("."))).exists()
        }
        filtered = "\nSeccomp:\t2" in Path("/proc/self/status").read_text(encoding="utf-8")
        raise ForbiddenError(explain(what, error.errno or 0, settings, filtered)) from error


def _unshare(flags: int) -> None:
    _doing("unshare of user, mount and network namespaces", lambda: _call("unshare", flags))


def _with_maps_of_root(unshare: Callable[[], None]) -> None:
    """Unshare, with a child that writes the maps from outside: only from there may more than one user be mapped."""
    me, gate = os.getpid(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.close(gate[1])
            if os.read(gate[0], 1):
                for name in ("uid_map", "gid_map"):
                    rows = [row.split() for row in Path(f"/proc/self/{name}").read_text(encoding="ascii").splitlines()]
                    _write(f"/proc/{me}/{name}", "\n".join(f"{inside} {inside} {count}" for inside, _, count in rows))
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    os.close(gate[0])
    try:
        unshare()
        os.write(gate[1], b"\n")
    finally:
        os.close(gate[1])
        _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, os.strerror(code))


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content.encode("ascii"))  # one write: the kernel takes a map only whole
    finally:
        os.close(descriptor)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
