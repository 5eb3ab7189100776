"""Make container images of ours without any daemon: the same inputs give the same bytes.

In:    contracts, the binary, the installed package, a base as an archive or none.
Out:   one archive that `docker load`, `ctr images import` and `skopeo` read, with an SBOM inside.
Not:   pulling from or pushing to registries; running containers.
Next:  cli/images asks for it; deploy/images says how the images are used.
"""
