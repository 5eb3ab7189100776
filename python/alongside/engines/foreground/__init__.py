"""Run one program on this terminal, as a shell does, with components beside it.

In:    the program's words; components that want the address where it listens.
Out:   the program's output, signals and exit code as they are; its one listening socket.
Not:   files, a supervisor, restarts of the program: it ends, and all ends.
Next:  `alongside run`.
"""
