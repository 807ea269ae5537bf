"""A replica set of three real MongoDB nodes on this machine, whose nodes can be killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.mongodb.embedded import find_mongod
from tests.running import HOST, free_port, wait_until

NAME = "rs0"


class Node:
    """One `mongod` with its own folder and port; `options` go on its command line.

    `login` holds the client options with which the tests send it commands.
    """

    def __init__(self, folder: Path, *options: str, **login: Any) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._options = options
        self.login = login
        self.port = free_port()
        self.start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                str(find_mongod()),
                *("--dbpath", str(self._folder), "--port", str(self.port), "--bind_ip", HOST),
                *("--nounixsocket", "--logpath", str(self._folder / "log"), "--logappend"),
                *("--wiredTigerCacheSizeGB", "0.25"),
                *("--setParameter", "enableTestCommands=1"),
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )

    def send(self, signal_: int) -> None:
        self.process.send_signal(signal_)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def command(self, *command: Any, **arguments: Any) -> Mapping[str, Any]:
        """Run a command on this node only; `{}` if it does not respond."""
        try:
            with MongoClient[dict[str, Any]](
                HOST, self.port, directConnection=True, timeoutMS=10_000, **self.login
            ) as client:
                answer: Mapping[str, Any] = client.admin.command(*command, **arguments)
                return answer
        except PyMongoError:
            return {}


class ReplicaSet:
    """Three nodes."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [
            Node(folder / str(number), "--replSet", NAME, "--oplogSize", "64")
            for number in range(3)
        ]
        members = [{"_id": i, "host": node.address} for i, node in enumerate(self.nodes)]
        config = {"_id": NAME, "members": members}
        wait_until(lambda: self.nodes[0].command("replSetInitiate", config) != {})
        self.wait_until_whole()

    def set_election_timeout(self, milliseconds: int) -> None:
        """Set how long nodes wait when they lose contact with the primary, or with a majority."""
        primary = self.wait_for_primary()

        def reconfigured() -> bool:
            config = dict(primary.command("replSetGetConfig")["config"])
            config["version"] += 1
            config["settings"]["electionTimeoutMillis"] = milliseconds
            return primary.command("replSetReconfig", config) != {}

        wait_until(reconfigured)

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(node.address for node in self.nodes)}/?replicaSet={NAME}"

    def primary(self) -> Node | None:
        """Return the node that a majority considers the primary, if there is one."""
        for node in self.nodes:
            if node.process.poll() is None and node.command("hello").get("isWritablePrimary"):
                return node
        return None

    def wait_for_primary(self) -> Node:
        wait_until(lambda: self.primary() is not None)
        primary = self.primary()
        assert primary
        return primary

    def wait_until_whole(self) -> None:
        """Wait until one node is the primary and the others follow it."""

        def states() -> list[str]:
            status = self.wait_for_primary().command("replSetGetStatus")
            return sorted(member["stateStr"] for member in status.get("members", []))

        wait_until(lambda: states() == ["PRIMARY", "SECONDARY", "SECONDARY"])

    @contextmanager
    def failing(self, fail_point: str, mode: Any, data: Mapping[str, Any]) -> Iterator[None]:
        """Make the primary fail at one of MongoDB's fail points; it must fail at least once."""
        primary = self.wait_for_primary()
        assert primary.command("configureFailPoint", fail_point, mode=mode, data=data)
        try:
            yield
        finally:
            assert primary.command("configureFailPoint", fail_point, mode="off")["count"] > 0

    def stop(self) -> None:
        for node in self.nodes:
            node.send(signal.SIGCONT)
            node.kill()
