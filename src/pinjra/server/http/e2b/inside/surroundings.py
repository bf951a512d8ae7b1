"""Names of users and paths of requests -> places in the box; the environment of what is started there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

HOME = "/home/user"
_ROOT_HOME = "/root"
_PROGRAMS = f"{os.path.dirname(__file__)}/programs"
_USERS = {"": HOME, "user": HOME, "root": _ROOT_HOME}


class UnknownUser(Exception):
    """The client's fault: the box has no user of that name."""


@dataclass
class Surroundings:
    """Where things are in this box.

    Args:
        home: The folder that clients call /home/user.
        variables: The sandbox's own environment, given at its creation.
    """

    home: str
    path: str
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_this_process(cls) -> Surroundings:
        """Return the place of the box that this process is the first of."""
        home = os.environ.get("HOME", HOME)
        os.umask(0o022)
        temporary = "/tmp" if os.access("/tmp", os.W_OK) else home  # noqa: S108 (the box's own)
        os.environ.update(HOME=home, TMPDIR=temporary)
        return cls(home, os.environ.get("PATH", os.defpath))

    def home_of(self, user: str) -> str:
        """Return a user's home folder.

        Raises:
            UnknownUser: There is no such user.
        """
        if user not in _USERS:
            raise UnknownUser(f"invalid username: '{user}'")
        return self.real(_USERS[user])

    def real(self, path: str) -> str:
        """Return where a path of the client's lies: the same, unless the box has no view of its own."""
        if self.home != HOME:
            for folder in (HOME, _ROOT_HOME):
                if path == folder or path.startswith(f"{folder}/"):
                    return self.home + path[len(folder) :]
        return path

    def shown(self, path: str) -> str:
        """Return what the client calls a place."""
        if self.home != HOME and (path == self.home or path.startswith(f"{self.home}/")):
            return HOME + path[len(self.home) :]
        return path

    def resolve(self, path: str, user: str = "") -> str:
        """Return the absolute path for one that a client gave: relative ones begin at home, `~` is home.

        Raises:
            UnknownUser: There is no such user.
        """
        home = self.home_of(user)
        if path == "~" or path.startswith("~/"):
            path = home + path[1:]
        return os.path.normpath(os.path.join(home, self.real(path)))

    def environment(self, user: str = "", more: dict[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a program."""
        name = user or "user"
        return {
            "PATH": f"{self.path}:{_PROGRAMS}",
            "LANG": "C.UTF-8",
            "HOME": self.home_of(user),
            "USER": name,
            "LOGNAME": name,
            "TMPDIR": os.environ["TMPDIR"],
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
            **self.variables,
            **(more or {}),
        }
