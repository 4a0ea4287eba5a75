"""The environment of agents and checks: an allow-list, never the whole of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
}  # fmt: skip
MARKER = "INTARSIA_SESSION"


def base(extra: Iterable[str] = ()) -> dict[str, str]:
    """Our variables that are allowed, plus those named by `extra`; our own command is on the PATH, last."""
    names = ALLOWED | set(extra)
    env = {name: value for name, value in os.environ.items() if name in names or name.startswith("LC_")}
    env["PATH"] = os.pathsep.join([*filter(None, [env.get("PATH", os.defpath)]), str(Path(sys.executable).parent)])
    return env
