"""Throughput with 32 connections that always wait for a response, measured by wrk."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CONNECTIONS, _SECONDS = 32, 5
# Requests are written before the load begins: the load generator and the server share the same cores.
_SCRIPT = """
local addresses, headers, requests, at = %(addresses)d, {}, {}, 0
%(headers)s
init = function()
  local targets = {}
  for line in io.lines("%(targets)s") do targets[#targets + 1] = line end
  for number = 0, math.max(#targets, addresses) - 1 do
    if addresses > 0 then
      local address = number %% addresses
      headers["X-Forwarded-For"] = "198.51." .. math.floor(address / 250) .. "." .. address %% 250 + 1
    end
    requests[number + 1] = wrk.format("GET", targets[number %% #targets + 1], headers)
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  io.write(string.format('\\n{"a_second": %%f, "p50_ms": %%f, "p99_ms": %%f, "errors": %%d}\\n',
    1e6 * summary.requests / summary.duration, p50, p99, wrong))
end
"""


@dataclass(frozen=True)
class Load:
    """What the connections ask for, in turn."""

    targets: Sequence[str]
    headers: dict[str, str] = field(default_factory=dict)
    addresses: int = 0  # how many callers a proxy names, in turn


class LoadError(RuntimeError):
    """A measurement in which requests failed."""


def has_wrk() -> bool:
    """Return whether wrk is installed."""
    return shutil.which("wrk") is not None


def throughput(port: int, load: Load) -> dict[str, float]:
    """Return `a_second`, `p50_ms` and `p99_ms`. Raises LoadError if a request failed."""
    with tempfile.TemporaryDirectory() as folder:
        targets, script = Path(folder, "targets"), Path(folder, "load.lua")
        targets.write_text("".join(f"{target}\n" for target in load.targets))
        headers = "\n".join(
            f"headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in load.headers.items()
        )
        script.write_text(
            _SCRIPT % {"targets": targets, "headers": headers, "addresses": load.addresses}, encoding="utf-8"
        )
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{_SECONDS}s", "-s", str(script)]
        ended = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True
        )
    figures: dict[str, float] = json.loads(ended.stdout.strip().splitlines()[-1])
    if errors := figures.pop("errors"):
        raise LoadError(f"{errors:.0f} requests for {load.targets[0]} failed: {ended.stdout}")
    return figures
