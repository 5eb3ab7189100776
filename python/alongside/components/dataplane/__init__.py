"""Start the native components: from values to a document to the binary in this process's place.

In:    the values of `route`, `cache` or `tls`; where the binary may be.
Out:   nothing returns: the process is the binary, its document passed as an open descriptor.
Not:   listening, parsing, placing: those are the binary's.
Next:  rust/dataplane reads the document; cli calls `documents`, then `launch`.
"""
