"""Decide what should run: from resources and what is observed, to processes and documents.

In:    resources; what runs now, with the addresses its sockets have.
Out:   a Plan, the documents of its data-plane nodes, and the next safe steps towards it.
Not:   any process, socket, file or clock: every function here is pure.
Next:  an engine takes the steps, and the supervisor calls again whenever something changed.
"""
