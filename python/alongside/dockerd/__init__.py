"""Speak to a Docker or Podman engine on this machine, by Docker's HTTP API on a UNIX socket.

In:    a socket; a method, a path, JSON or bytes.
Out:   JSON, bytes as they come, and errors that say whether the engine is silent or refuses.
Not:   which containers there should be; a registry; TCP or TLS.
Next:  `engines.runtimes.docker` runs pods with it, `images` and `contract.drafting` ask for images;
       docs/decisions/0008-docker.md says why there is no other client in it.
"""
