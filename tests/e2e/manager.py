"""A service manager of the tests' own: the socket that sd_notify(3) speaks to."""
import socket
import threading
import time

from harness import Agent, environment, until


class Manager:
    """Hears what a service says; see heard()."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.words = []  # (monotonic seconds, {name: value})
        # All the while: the kernel keeps few words (net.unix.max_dgram_qlen, 10), and who says one more waits.
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.path)
        self.thread.join()
        self.socket.close()

    def _listen(self):
        while text := self.socket.recv(4096).decode():
            self.words.append((time.monotonic(), dict(line.split("=", 1) for line in text.splitlines())))

    def hear(self):
        """All there is so far."""
        return list(self.words)

    def heard(self, name, value=None):
        """Every word that holds name=value, oldest first."""
        return [word for _, word in self.hear() if name in word and value in (None, word[name])]

    def feeds(self):
        return len(self.heard("WATCHDOG", "1"))

    def fed(self, times=3):
        """Waits for so many more feeds."""
        begin = self.feeds()
        until(f"{times} feeds", lambda: self.feeds() >= begin + times)

    def names(self):
        """The order of the states it went through."""
        wanted = ("READY", "RELOADING", "STOPPING")
        return [name for _, word in self.hear() for name in word if name in wanted]


class ManagedAgent(Agent):
    """Started as systemd starts it: NOTIFY_SOCKET, and a watchdog for exactly this process."""

    def __init__(self, home, manager, *options, watchdog_s=0.4, **more):
        super().__init__(home, *options, **more)
        self.manager, self.watchdog_s = manager, watchdog_s

    def command(self):
        # The pid is not known before the fork, but stays over the exec.
        return ["/bin/sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *super().command()]

    def start(self):
        self.env = environment(NOTIFY_SOCKET=self.manager.path, WATCHDOG_USEC=str(int(self.watchdog_s * 1e6)))
        return super().start()
