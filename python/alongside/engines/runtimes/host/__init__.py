"""Run containers as processes beside everything else of this machine.

In:    a pod's room, a container with its whole command; what listens here already.
Out:   processes in groups of their own, their ends; Services' sockets; what cannot run here.
Not:   any isolation: no file of the machine is hidden or put in another place.
Next:  `engines.runtimes.process` makes a runtime of it.
"""
