"""Run a page's shell blocks in a copy of this machine that is thrown away.

`unshare --mount --pid --fork --kill-child python sandbox.py LAYERS SETUP PAGE FIRST LAST` runs, as
root, the blocks from line FIRST to LAST of a page. LAYERS are folders, separated by colons, with
what differs from this machine, the last one first; the first is written to. The network has
nothing but the machine itself, except for commands that install programs.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from support.shell_blocks import Block, blocks

PATIENCE = 300  # seconds for a block
CLONE = Path("/root/restante")  # where the commands are typed
NETWORK = Path("/run/restante-network")
OUTSIDE = Path("/etc/resolv.conf.outside")
INSTALLS = re.compile(r"apt-get |pip install|make \.venv")
ANSWERS = {
    re.compile(rb"(?i)(password.*|again|repeat.*): ?$"): b"restante\n",
    re.compile(rb"\[y/N\]:? ?$"): b"y\n",
    re.compile(rb"pop3> $"): b"quit\n",
}
QUICK = {"PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
ALONE = {"TERM": "dumb", "SSL_CERT_FILE": "/etc/restante-authority.pem"}


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def enter(layers: str) -> None:
    """Make the layers the root of this process."""
    upper, *lower = layers.split(":")
    work, root = f"{upper}.work", f"{upper}.root"
    for folder in (work, root):
        Path(folder).mkdir(exist_ok=True)
    options = f"lowerdir={':'.join([*lower, '/'])},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "-o", options, "overlay", root)
    run("mount", "-t", "proc", "proc", f"{root}/proc")
    for folder in ("dev", "sys"):
        run("mount", "--rbind", f"/{folder}", f"{root}/{folder}")
    resolver = Path("/etc/resolv.conf").read_text()
    os.chroot(root)
    os.chdir(CLONE)
    NETWORK.touch()
    run("unshare", f"--net={NETWORK}", "ip", "link", "set", "lo", "up")
    run("nsenter", f"--net={NETWORK}", "ip", "address", "add", "192.0.2.25/32", "dev", "lo")
    OUTSIDE.write_text(resolver)


def command(text: str) -> list[str]:
    """Return a command that runs a text strictly, alone or, where it installs, with the network."""
    installs = INSTALLS.search(re.sub(r"#.*", "", text))
    if installs:
        shutil.copy(OUTSIDE, "/etc/resolv.conf")
    else:
        Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    environment = QUICK if installs else ALONE
    inside = [] if installs else ["nsenter", f"--net={NETWORK}"]
    inside += ["env", *(f"{name}={value}" for name, value in environment.items())]
    return [*inside, "bash", "-euo", "pipefail", "-c", text]


class Run:
    """A block that runs at a terminal, where its questions are answered."""

    def __init__(self, block: Block) -> None:
        self.output = b""
        self.code: int | None = None
        words = command(block.commands)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        answered = 0
        while True:
            try:
                new = os.read(self._terminal, 65536)
            except OSError:  # the last process has closed the terminal
                break
            self.output += new
            for question, answer in ANSWERS.items():
                if question.search(self.output[answered:]):
                    answered = len(self.output)
                    os.write(self._terminal, answer)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")

    def wait(self) -> int | None:
        """Return the exit code, or None when it is not over in time."""
        self._thread.join(PATIENCE)
        return self.code

    def stop(self) -> None:
        os.killpg(self.pid, signal.SIGTERM)
        assert self.wait() is not None, "it does not stop"

    def listens(self, port: str) -> bool:
        """Tell whether a server comes up at this port before the block ends."""
        probe = command(f": < /dev/tcp/127.0.0.1/{port}")
        for _ in range(PATIENCE * 5):
            if self.code is not None:
                return False
            if subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return True
            time.sleep(0.2)
        return False


def attempt(block: Block, servers: dict[str, Run]) -> str:
    """Run a block, and return what is wrong, or an empty text."""
    if block.mark == "not run":
        return ""
    if block.mark == "serves":
        if block.value in servers:
            servers.pop(block.value).stop()
        servers[block.value] = running = Run(block)
        wrong = "" if running.listens(block.value) else "nothing listens"
    else:
        running = Run(block)
        code = running.wait()
        wrong = f"exit code {code}" if code != 0 else ""
    sys.stdout.write(f"--- line {block.line}:\n{block.commands}\n{running.text}\n")
    return wrong


def main(layers: str, setup: str, page: str, first: str, last: str) -> None:
    servers: dict[str, Run] = {}
    chosen = [b for b in blocks(Path(page)) if int(first) <= b.line <= int(last)]
    text = "\n".join(Path(file).read_text() for file in setup.split(":") if file)
    enter(layers)
    done = Run(Block(0, text or "true"))
    if done.wait() != 0:
        sys.exit(f"the set-up failed:\n{done.text}")
    for block in chosen:
        if wrong := attempt(block, servers):
            sys.exit(f"{page}:{block.line}: {wrong}")


if __name__ == "__main__":
    main(*sys.argv[1:])
