"""Hold the components, one room each, strangers to each other.

In:    the values of a component's contract.
Out:   a running component: Python of its own, or a document and the data plane's binary.
Not:   fleets, plans, resources; a component knows its neighbours by address only.
Next:  cli starts them; engines run that command line in pods.
"""
