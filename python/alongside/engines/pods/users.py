"""Say which group a container's user has where no group is written and there is no image."""

from __future__ import annotations

import pwd


def group_of(user: int) -> int:
    """Return the user's group as this machine knows it, as Kubernetes asks the image's passwd.

    A user that nobody knows has a group of the same number: Kubernetes would give it root's, which
    in an image is the image's own, and here that of this machine.
    """
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user
