"""Keep a project running: one supervisor, its journal, and the control API on a UNIX socket.

In:    the texts of resource files; orders from the command line.
Out:   an engine driven until plan and observation agree; status, logs, explanations.
Not:   deciding the steps (plan), running processes (engines), printing (cli).
Next:  `client` is how every other command, and later the console, speaks to it.
"""
