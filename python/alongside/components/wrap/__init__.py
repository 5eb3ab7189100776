"""Stand before a program that somebody else made: check what it is given, then become it.

In:    the program's contract, its environment and words; templates of configuration files.
Out:   the files, filled; the program, in this process.
Not:   watching, restarting or parsing the program; docs/contracts/wrap.md is the promise.
Next:  wrapping.start does it in order; filling knows Jinja, bounding keeps it within limits.
"""
