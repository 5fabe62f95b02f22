"""A line between an SDK and the gateway that breaks now and then, in either direction and at any octet."""

from __future__ import annotations

import random
import socket
import threading

# Octets that a connection carries each way before it breaks: from less than a head to a few answers.
LONGEST = 6000


class BrokenLine:
    """Listens on a free port and passes octets on until a connection's luck runs out."""

    def __init__(self, behind: str, seed: int) -> None:
        host, port = behind.split(":")
        self.behind = (host, int(port))
        self.random = random.Random(seed)
        self.broken = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            gateway = socket.create_connection(self.behind)
            for source, sink in ((client, gateway), (gateway, client)):
                luck = self.random.randrange(1, LONGEST)
                threading.Thread(target=self._pass, args=(source, sink, luck), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, luck: int) -> None:
        try:
            while luck > 0 and (octets := source.recv(min(luck, 4096))):
                sink.sendall(octets)
                luck -= len(octets)
        except OSError:
            pass
        self.broken += luck == 0
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
