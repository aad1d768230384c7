"""Several hosts on one machine: namespaces with a network, processes, SSH and a home of their own.

``laptop`` is where the user sits; ``h0``, ``h1`` … are the cluster's. Nothing leaves the namespaces
but files below the hosts' folder, and all processes in them end with :meth:`Hosts.down`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

INIT = Path(__file__).with_name("host.sh")
NEEDED = ("ip", "unshare", "nsenter", "ssh", "sshd", "ssh-keygen", "rsync", "setsid")
LAPTOP = "laptop"


def why_not() -> str | None:
    """Return why there can be no hosts on this machine; None where there can."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if missing:
        return f"no hosts: {', '.join(missing)} missing (openssh-server, rsync, iproute2)"
    if os.geteuid() != 0:
        return "no hosts: namespaces with a network take root"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount", "true"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else f"no hosts: {tried.stderr.decode().strip()}"


class Hosts:
    """Hosts in a network of their own.

    Args:
        folder: For their files.
        number: Beside the laptop.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self._prefix = f"sv{os.getpid()}"
        self._started: dict[str, tuple[subprocess.Popen[bytes], int]] = {}

    def address(self, name: str) -> str:
        """Return a host's address."""
        return f"10.77.0.{9 if name == LAPTOP else 10 + int(name[1:])}"

    def up(self) -> None:
        """Start all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key"))
        switch = f"{self._prefix}sw"
        _do("ip", "netns", "add", switch)
        _do("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        _do("ip", "-n", switch, "link", "set", "br0", "up")
        for name in (LAPTOP, *(f"h{number}" for number in range(self.number))):
            self._plug_in(name)
            self.start(name)

    def _plug_in(self, name: str) -> None:
        space, switch = f"{self._prefix}{name}", f"{self._prefix}sw"
        _do("ip", "netns", "add", space)
        _do(
            "ip",
            "-n",
            space,
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            name,
            "netns",
            switch,
        )
        _do("ip", "-n", switch, "link", "set", name, "master", "br0", "up")
        _do("ip", "-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _do("ip", "-n", space, "link", "set", device, "up")

    def start(self, name: str) -> None:
        """Switch a host on."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "ready").unlink(missing_ok=True)
        apart = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount", "--uts", "--ipc"]
        command = ["ip", "netns", "exec", f"{self._prefix}{name}", *apart]
        command += ["--propagation", "private", "sh", str(INIT), name, self.address(name)]
        ssh = "no" if name == LAPTOP else "yes"
        with (folder / "init.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, str(folder), ssh], stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(200):
            if (folder / "ready").exists():
                break
            assert process.poll() is None, (folder / "init.log").read_text()
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self._started[name] = (process, int(children[0]))

    def power_off(self, name: str) -> None:
        """End everything on a host at once, as a power failure does."""
        process, init = self._started.pop(name)
        os.kill(init, 9)
        process.wait()

    def cut(self, name: str) -> None:
        """Pull a host's network cable."""
        _do("ip", "-n", f"{self._prefix}sw", "link", "set", name, "down")

    def heal(self, name: str) -> None:
        """Plug it in again."""
        _do("ip", "-n", f"{self._prefix}sw", "link", "set", name, "up")

    def command(self, name: str, script: str) -> list[str]:
        """Return the command that runs a shell's script on a host, in its home."""
        _, init = self._started[name]
        home = self.folder / name / "home"
        inside = f"export HOME={home}; cd; [ ! -e .profile ] || . ./.profile; {script}"
        return ["nsenter", "-t", str(init), "-a", "sh", "-c", inside]

    def run(
        self, name: str, script: str, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a script on a host."""
        return subprocess.run(
            self.command(name, script), capture_output=True, text=True, timeout=timeout, check=False
        )

    def spawn(self, name: str, script: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a script on a host; what it says goes into a file."""
        with log.open("wb") as file:
            return subprocess.Popen(
                self.command(name, script), stdout=file, stderr=file, start_new_session=True
            )

    def down(self) -> None:
        """Switch all off, and take the network away."""
        for name in list(self._started):
            self.power_off(name)
        for line in _do("ip", "netns", "list").splitlines():
            if line.startswith(self._prefix):
                _do("ip", "netns", "del", line.split()[0])


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
