"""Environment variables that lead a program's traffic through a proxy of the run and make it trust the run alone.

One set for every kind of program, because nobody knows what a gateway starts. Pure.

| who | proxy | trust |
|---|---|---|
| Python: httpx, requests, aiohttp, urllib3 | `HTTPS_PROXY`, in both cases | `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` |
| boto3 | the same | `AWS_CA_BUNDLE` |
| curl, git, Rust with native roots, .NET | the same | `SSL_CERT_FILE`, `CURL_CA_BUNDLE` |
| Go: net/http | the same | `SSL_CERT_FILE`, `SSL_CERT_DIR` |
| Node | a preload (`node_preload.cjs`): Node 20 and 22 ignore the variables | OpenSSL's store, which is ours alone |
| Java | `JAVA_TOOL_OPTIONS` | a key store, by the same variable |

`SSL_CERT_DIR` is a folder without certificates: OpenSSL and Go would read the system's beside our file. gRPC has a
variable of its own.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

from drills.authority import TRUST_STORE_PASSWORD, Authority

LOOPBACK = "127.0.0.1,localhost,::1"


class Surroundings(NamedTuple):
    """Variables, and the files that they name (path to content)."""

    env: dict[str, str]
    files: dict[str, bytes]


def trust(authority: Authority, folder: Path) -> Surroundings:
    """What makes a program trust the run's authority and no other. `folder`: where the files will be."""
    bundle, store = folder / "authority.pem", folder / "authority.jks"
    env = dict.fromkeys(
        (
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "AWS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        ),
        str(bundle),
    )
    env["SSL_CERT_DIR"] = str(folder / "no-other-authorities")
    env["NODE_OPTIONS"] = "--use-openssl-ca"
    env["JAVA_TOOL_OPTIONS"] = _java(
        {
            "javax.net.ssl.trustStore": str(store),
            "javax.net.ssl.trustStoreType": "JKS",
            "javax.net.ssl.trustStorePassword": TRUST_STORE_PASSWORD,
        }
    )
    return Surroundings(env, {str(bundle): authority.pem.encode(), str(store): authority.trust_store()})


def proxied(port: int, folder: Path) -> Surroundings:
    """What leads a program's traffic through a proxy on a loopback port, but for what stays on this machine."""
    proxy, preload = f"http://127.0.0.1:{port}", folder / "proxy.cjs"
    env = {name: proxy for word in ("HTTPS_PROXY", "HTTP_PROXY") for name in (word, word.lower())}
    env |= {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}
    env["NODE_OPTIONS"] = f"--require={preload}"
    env["JAVA_TOOL_OPTIONS"] = _java(
        {
            "https.proxyHost": "127.0.0.1",
            "https.proxyPort": str(port),
            "http.proxyHost": "127.0.0.1",
            "http.proxyPort": str(port),
            "http.nonProxyHosts": "localhost|127.*|[::1]",
        }
    )
    script = (resources.files("drills.routing") / "node_preload.cjs").read_bytes()
    return Surroundings(env, {str(preload): script})


def together(*parts: Surroundings) -> Surroundings:
    """Several at once; options of one variable stand side by side."""
    env: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in parts:
        for name, value in part.env.items():
            joined = name in {"NODE_OPTIONS", "JAVA_TOOL_OPTIONS"} and name in env
            env[name] = f"{env[name]} {value}" if joined else value
        files |= part.files
    return Surroundings(env, files)


def _java(properties: dict[str, str]) -> str:
    """Options for a Java machine; what is quoted may hold spaces."""
    return " ".join(
        f'"-D{name}={value}"' if " " in value else f"-D{name}={value}" for name, value in properties.items()
    )
