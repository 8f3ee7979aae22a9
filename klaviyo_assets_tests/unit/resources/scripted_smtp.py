"""An SMTP server that answers as a test wants, and keeps what it accepts.

Here: the dialogue of one thread per connection. Not here: any expectation.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Self

OK = "250 fine"
LOGIN = "250-scripted\r\n250 AUTH PLAIN LOGIN"


@dataclass
class Kept:
    """A mail that was accepted."""

    recipients: list[str]
    content: str


@dataclass
class ScriptedSmtp:
    """Answers by `answers`: the beginning of a command in lower case, and the answers to it in order.

    The last answer to a command stands for all further ones. `drip` sends a byte, and then another one after so many
    seconds, for ever.
    """

    answers: dict[str, list[str]] = field(default_factory=dict)
    greeting: str = "220 scripted"
    drip: Callable[[socket.socket], None] | None = None
    kept: list[Kept] = field(default_factory=list)
    sessions: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.sessions += 1
                Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rb") as lines:
            client.sendall(f"{self.greeting}\r\n".encode())
            recipients: list[str] = []
            while line := lines.readline().decode().strip():
                command = line.lower()
                if self.drip and command.startswith("mail"):
                    self.drip(client)
                answer = self._answer(command)
                client.sendall(f"{answer}\r\n".encode())
                if command.startswith("rcpt") and answer.startswith("250"):
                    recipients.append(line[line.index("<") + 1 : line.index(">")])
                if command.startswith(("rset", "ehlo")):
                    recipients = []
                if command == "data" and answer.startswith("354"):
                    self._take(client, lines, recipients)
                if answer.startswith(("421", "221")):
                    return

    def _take(self, client: socket.socket, lines, recipients: list[str]) -> None:
        content = b""
        while (line := lines.readline()) not in {b".\r\n", b""}:
            content += line
        answer = self._answer("message")
        if answer.startswith("250"):
            self.kept.append(Kept(list(recipients), content.decode()))
        client.sendall(f"{answer}\r\n".encode())

    def _answer(self, command: str) -> str:
        for beginning, answers in self.answers.items():
            if command.startswith(beginning):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return {"data": "354 go on", "quit": "221 bye"}.get(command, OK)
