"""The table of commands: a new one is a file here and a line in `COMMANDS`.

The file is named like the command (`-` as `_`) and holds `command`, a `click.Command`; it is
imported only when the command is called. The commands in `NODES` become the data plane: their
file holds `CONTRACT` and `start` instead, and they do without click, which would double their
start.
"""

from __future__ import annotations

COMMANDS: dict[str, str] = {
    "ambassador": "Let many memcache or Redis servers be one, by twemproxy's file",
    "cache": "Keep an origin's answers in memory and serve them while they are fresh",
    "certs": "Make certificates for development, and let this machine trust them",
    "completion": "Make a shell complete alongside's commands and flags",
    "contract": "Write, check, show and compare what components promise",
    "create": "Write resources from files, for up and for kubectl",
    "doctor": "Say what this machine allows, and what to do about the rest",
    "down": "Stop a project in reverse order, or end what a dead supervisor left",
    "explain": "Say where a request goes, and why",
    "images": "Make container images of alongside",
    "init": "Write the first file, for a service that runs here",
    "logs": "Show what a process wrote",
    "purge": "Forget what a cache keeps of a URL",
    "render": "Print the document that a component would serve, and serve nothing",
    "restart": "Restart what runs, one after the other, so that nobody misses it",
    "route": "Spread HTTP requests over nodes by a key of each request",
    "run": "Run one program on this terminal, with components beside it",
    "status": "Show what runs, where it listens and what needs a look",
    "tls": "Speak HTTPS for a program that knows none of it",
    "up": "Run what resource files ask for, on this machine",
}
"""Every command and its line of help, sorted."""

NODES = frozenset({"ambassador", "cache", "route", "tls"})
"""The commands that replace this process by the data plane."""

HELP_FLAGS = ("-h", "--help")


def module_of(command: str) -> str:
    """Return the name of the module that holds a command."""
    return f"alongside.cli.{command.replace('-', '_')}"
