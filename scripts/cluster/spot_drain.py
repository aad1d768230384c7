"""On a spot instance: tell Ray when AWS announces the instance's end, and how long is left.

Polls the instance's metadata (IMDSv2 only) and, on the notice, has Ray drain this node with the
reason "preemption": nothing new starts here, and trials that end with the node don't count as
failures. Ends when Ray has accepted. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

METADATA = "http://169.254.169.254"
POLL_S = 5.0
"""As often as AWS advises; the notice comes two minutes before the end."""
TIMEOUT_S = 2.0
# The metadata's address is this machine's own: never through a proxy.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Notice:
    """An announced end.

    Attributes:
        action: What AWS will do: ``terminate``, ``stop`` or ``hibernate``.
        end: When, about.
    """

    action: str
    end: datetime

    def seconds_left(self, now: datetime) -> int:
        """Return the whole seconds until the end, at least zero."""
        return max(0, int((self.end - now).total_seconds()))


def parse_notice(body: str) -> Notice:
    """Return the notice in the metadata's JSON.

    Raises:
        ValueError: It isn't one.
    """
    try:
        values = json.loads(body)
        end = datetime.fromisoformat(values["time"])
        return Notice(str(values["action"]), end if end.tzinfo else end.replace(tzinfo=UTC))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no notice: {body!r}") from error


def read_notice(metadata: str) -> Notice | None:
    """Return the notice at the metadata service, None while there is none.

    Raises:
        OSError: The service can't be reached, or refuses.
    """
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _ask(f"{metadata}/latest/api/token", "PUT", lifetime)
    try:
        url = f"{metadata}/latest/meta-data/spot/instance-action"
        return parse_notice(_ask(url, "GET", {"X-aws-ec2-metadata-token": token}))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def _ask(url: str, method: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(url, method=method, headers=headers)
    with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode())


def drain(ray: str, notice: Notice, now: datetime) -> bool:
    """Have Ray drain this node; return whether it accepted."""
    command = [ray, "drain-node", "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    command += ["--reason-message", f"spot: AWS will {notice.action} this instance"]
    command += ["--deadline-remaining-seconds", str(notice.seconds_left(now))]
    return subprocess.run(command, check=False).returncode == 0


def watch(metadata: str, ray: str, poll_s: float) -> None:
    """Wait for the notice and drain this node; ask again where Ray doesn't accept."""
    while True:
        try:
            notice = read_notice(metadata)
        except (OSError, ValueError) as error:
            _say(f"{metadata}: {error}")
            notice = None
        if notice is not None:
            _say(f"AWS will {notice.action} this instance at {notice.end:%H:%M:%S}; draining")
            if drain(ray, notice, datetime.now(UTC)):
                return
        time.sleep(poll_s)


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}", flush=True)


def main() -> None:
    """Read the options and watch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metadata", default=METADATA, help="the metadata service")
    parser.add_argument("--ray", default=str(Path(sys.executable).with_name("ray")))
    parser.add_argument("--poll-s", type=float, default=POLL_S)
    options = parser.parse_args()
    watch(options.metadata, options.ray, options.poll_s)


if __name__ == "__main__":
    main()
