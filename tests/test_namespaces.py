"""Making a private network, who may, what is said where nobody may, and that nothing of one stays behind."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys
import textwrap
from ipaddress import ip_address
from pathlib import Path

import pytest
from drilling import gone
from network_harness import private_network
from plane_harness import until

from drills import doctor, strays
from drills.namespaces import explain
from drills.network import Endpoint, forbidden
from drills.porter import TRIES_AT_MOST


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run some Python in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_this_machine_allows_a_private_network() -> None:
    """The tests of sealed drills need one: where it is forbidden they fail, and this line says why."""
    assert forbidden() == ""
    part = doctor._network()
    assert (part.name, part.version) == ("private network", "yes")


def test_an_ordinary_user_may_have_one() -> None:
    """Without any right outside: it is made, joined, listened in on port 443, and what is tried in it is seen."""
    done = python(
        """
        import ctypes, encodings.ascii, os, socket  # the codec now: later its file may be out of reach
        from drills import namespaces, porter, strays

        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as after the start of a program
        me, ready, go = os.getuid(), os.pipe(), os.pipe()
        keeper = os.fork()
        if keeper == 0:
            namespaces.make()
            porter._open_network()
            porter._unprivileged_ports()
            porter._furnish()
            watcher, _ = strays.watchers()
            os.write(ready[1], b".")
            os.read(go[0], 1)
            print("seen", *strays.read(watcher.recv(128)), os.getuid() == me, flush=True)
            os._exit(0)
        os.close(ready[1])
        assert os.read(ready[0], 1)
        namespaces.join(tuple(os.open(f"/proc/{keeper}/ns/{kind}", os.O_RDONLY) for kind in namespaces.KINDS))
        print("joined", os.getuid() == me, os.getuid() != 0, "127.0.0.53" in open("/etc/resolv.conf").read())
        with socket.socket() as listener, socket.socket() as caller, socket.socket() as stray:
            listener.bind(("198.18.0.1", 443))
            listener.listen()
            caller.connect(("198.18.0.1", 443))
            print("connected from", caller.getsockname()[0])
            print("tried", stray.connect_ex(("192.0.2.1", 25)), flush=True)
        os.write(go[1], b".")
        os.waitpid(keeper, 0)
        """
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "joined True True True",
        "connected from 127.0.0.1",
        f"tried {errno.ECONNREFUSED}",
        "seen 198.18.0.1 443 tcp True",
    ]


def test_root_keeps_all_users_inside() -> None:
    """Files of other users are theirs inside as well, and a program that changes its user can."""
    if os.geteuid() != 0:
        pytest.skip("only root has other users to bring along")
    done = python(
        """
        import os
        from drills import namespaces
        namespaces.make()
        print(open("/proc/self/uid_map").read().split()[0], os.stat("/proc/1").st_uid)
        os.setgroups([1000])
        os.setresuid(1000, 1000, 1000)
        print(os.getuid(), os.getgroups())
        """
    )
    assert (done.stdout.splitlines(), done.stderr) == (["0 0", "1000 [1000]"], "")


def test_a_kernel_that_allows_no_more_namespaces_is_named() -> None:
    """A namespace may be forbidden to have others in it: a real refusal, without a change to this machine."""
    done = python(
        """
        from pathlib import Path
        from drills import namespaces, network
        namespaces.make()
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        print(network.forbidden())
        """
    )
    assert done.stdout.strip() == (
        "unshare of user, mount and network namespaces: No space left on device (ENOSPC); "
        "user.max_user_namespaces is 0: raise it"
    ), done.stderr


def test_a_seccomp_filter_is_named() -> None:
    """As in a container: the filter refuses one system call."""
    numbers = {"x86_64": 272, "aarch64": 97}
    done = python(
        """
        import ctypes, struct, sys
        from drills import network
        steps = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
        program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, program, 0, 0) == 0
        print(network.forbidden())
        """,
        str(numbers[os.uname().machine]),
    )
    assert done.stdout.startswith(
        "unshare of user, mount and network namespaces: Operation not permitted (EPERM); a seccomp filter is on"
    ), done.stderr


EXPLAINED = [
    # The setting that forbids it, by name, with what to do; one that does not is not in the way.
    ({"kernel.unprivileged_userns_clone": "0"}, False, "kernel.unprivileged_userns_clone is 0: set it to 1"),
    ({"kernel.unprivileged_userns_clone": "1"}, False, "it"),
    (
        {"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "1000"},
        True,
        "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, or give the program an AppArmor profile",
    ),
    # Nothing else is known: the filter of a container it is.
    ({}, True, "a seccomp filter is on, as in most containers"),
]


@pytest.mark.parametrize(("settings", "filtered", "said"), EXPLAINED)
def test_what_a_person_is_told(settings: dict[str, str], filtered: bool, said: str) -> None:
    """What failed, the kernel's own word, and the likely reason."""
    text = explain("it", errno.EPERM, settings, filtered)
    assert text.startswith("it: Operation not permitted (EPERM)")
    assert said in text
    assert ("; " in text) is (said != "it")


def test_nothing_stays_behind_when_the_runner_is_killed() -> None:
    """SIGKILL: porter, keeper and program are gone within seconds, and with them the network and its folder."""
    runner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import asyncio, os, sys, tempfile
                from pathlib import Path
                from drills.children import Child
                from drills.clock import Clock
                from drills.keeper import Keep
                from drills.network import PrivateNetwork

                async def main():
                    network = await PrivateNetwork.start({}, Clock(), print)
                    private = str(Path(tempfile.gettempdir()) / f"drill-killed-{os.getpid()}")
                    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
                    keep = Keep(argv=(sys.executable, "-c", code), env={}, cwd=private, private=private, files={})
                    keeper = await Child.start("program", "drills.keeper", keep, inside=network.namespaces)
                    program = int(await keeper.first_line(20))
                    print(network._child.pid, keeper.pid, program, private, os.readlink(f"/proc/{program}/ns/net"))
                    sys.stdout.flush()
                    await asyncio.sleep(60)

                asyncio.run(main())
                """
            ),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout is not None
    *pids, private, network = runner.stdout.readline().split()
    assert network != _network_of(Path("/proc/self"))
    assert Path(private).is_dir()
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    runner.stdout.close()
    assert gone({int(pid) for pid in pids}, 5.0) == set()
    until(lambda: not Path(private).exists())
    assert network not in {_network_of(entry) for entry in Path("/proc").glob("[0-9]*")}


def _network_of(process: Path) -> str:
    try:
        return str((process / "ns" / "net").readlink())
    except OSError:
        return ""  # it ended while we looked


def packet(destination: str, protocol: int = 6, source: int = 40_000, port: int = 443) -> bytes:
    """The first packet to an address."""
    address = ip_address(destination)
    ports = struct.pack("!HH", source, port) + bytes(16)
    if address.version == 4:
        return bytes([0x45]) + bytes(8) + bytes([protocol]) + bytes(6) + address.packed + ports
    return bytes([0x60]) + bytes(5) + bytes([protocol]) + bytes(17) + address.packed + ports


PACKETS = [
    (packet("192.0.2.1"), ("192.0.2.1", 443, "tcp")),
    (packet("8.8.8.8", protocol=17, port=53), ("8.8.8.8", 53, "udp")),
    (packet("2001:db8::1", port=80), ("2001:db8::1", 80, "tcp")),
    # Loopback is no try, nor is what a name server answers, nor what is neither TCP nor UDP.
    (packet("127.0.0.1"), None),
    (packet("::1"), None),
    (packet("192.0.2.1", protocol=17, source=53), None),
    # Over IPv6 there is no name server: port 53 may be anybody's.
    (packet("2001:db8::1", protocol=17, source=53), ("2001:db8::1", 443, "udp")),
    # Nor does it connect to anybody.
    (packet("192.0.2.1", source=53), ("192.0.2.1", 443, "tcp")),
    (packet("192.0.2.1", protocol=1), None),
    # Broken.
    (b"", None),
    (packet("192.0.2.1")[:21], None),
    (packet("2001:db8::1")[:39], None),
    (b"\x00" * 60, None),
]


@pytest.mark.parametrize(("data", "tried"), PACKETS)
def test_a_packet_says_what_is_tried(data: bytes, tried: tuple[str, int, str] | None) -> None:
    """Address, port and protocol."""
    assert strays.read(data) == (None if tried is None else strays.Try(*tried))


def test_a_program_that_tries_everything_cannot_fill_the_history() -> None:
    """So many addresses are told, and one line for all others."""
    with private_network({}) as network:
        said = network.run(
            f"""
            import socket
            for number in range({TRIES_AT_MOST} * 2):
                with socket.socket() as sock:
                    assert sock.connect_ex((f"192.0.2.{{number % 250}}", 1000 + number)) == 111
            print("done")
            """
        )
        assert said.out == "done\n"
        until(lambda: ("", 0, "tcp") in network.tried())
        assert len(network.told) == TRIES_AT_MOST + 1


def test_only_what_exists_is_known() -> None:
    """A host is named by its name; another port of it is not there."""
    with private_network({Endpoint("198.18.0.9", 8443): "api.example.com:8443"}) as network:
        for endpoint in (("198.18.0.9", 8443), ("198.18.0.9", 443), ("198.18.0.10", 443)):
            with network.tcp() as sock:
                assert sock.connect_ex(endpoint) == errno.ECONNREFUSED  # nobody listens anywhere
        network.until_tried(("api.example.com", 443, "tcp"), ("198.18.0.10", 443, "tcp"))
        assert len(network.told) == 2
