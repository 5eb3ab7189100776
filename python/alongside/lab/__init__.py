"""Measure a running service as its clients see it, and say what it should have shown.

In:    a popularity law and a seed; the address of a service; a client's patience.
Out:   traces, what a cache must give for them, and what happened to every request.
Not:   starting or stopping anything; the fleet.
Next:  examples and bench compare what was measured with what was foretold.
"""
