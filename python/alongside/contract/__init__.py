"""State what a component promises, as data, and read its parameters by that promise.

In:    a `Contract` of the catalogue; flags and environment variables as texts.
Out:   checked `Values`, or every mistake at once; the page in docs/contracts.
Not:   any command line library; what the values are then used for.
Next:  cli turns contracts into options; components turn values into documents.
"""
