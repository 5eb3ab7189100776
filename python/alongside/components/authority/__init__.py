"""Keep an authority for development: its certificate, and those it gives to programs here.

In:    a folder of the user's state, names of hosts, the time.
Out:   folders with tls.crt and tls.key that are replaced at once; the system told to believe it.
Not:   serving TLS; certificates for anybody but this machine's own programs.
Next:  cli/certs.py and cli/run.py call `store`; `issuing` alone knows X.509.
"""
