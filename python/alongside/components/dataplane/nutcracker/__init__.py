"""Read twemproxy's `nutcracker.yaml`, say what is odd in it, and make a document of it.

In:    the text of a file; the values of `ambassador`.
Out:   pools as their user wrote them, each with its lines; findings; one data plane's document.
Not:   sockets, processes, placing a key: those are the data plane's.
Next:  cli/ambassador.py and cli/nutcracker.py; docs/contracts/ambassador.md is the promise.
"""
