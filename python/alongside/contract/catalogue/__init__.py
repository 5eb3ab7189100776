"""List the contracts of our components, one file each.

In:    the words of `contract.promise`.
Out:   `route.CONTRACT`, `cache.CONTRACT`, `up.CONTRACT`; `NAMES` lists them.
Not:   anything that runs; what is said here is kept by components and the data plane.
Next:  cli reads flags by these; docs/contracts holds their pages.
"""

NAMES = ("cache", "route", "up")
"""The components that have a contract; each is a module of this package."""
