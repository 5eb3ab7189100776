"""Be the command line: parse, call, print.

In:    arguments and the process's environment.
Out:   data on stdout, messages on stderr, an exit code; one file a command, loaded when called.
Not:   any decision; what a command does is in the room it calls.
Next:  components for one node by flags, server and engines for `up` and its kin.
"""
