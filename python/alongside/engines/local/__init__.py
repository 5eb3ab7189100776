"""Run processes on this machine, each in a session of its own, on sockets that outlive them.

In:    processes to start and stop; the project's folders.
Out:   children, probed and restarted with back-off; logs; answers of the nodes' admin doors.
Not:   the order of steps; the journal; any file that a user wrote.
Next:  alongside.server holds one engine; after its death `groups` finds what it left.
"""
