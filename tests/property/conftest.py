"""Two profiles: `fast` by default, `--hypothesis-profile=thorough` for the long repetitions."""

from hypothesis import settings

settings.register_profile("fast", max_examples=100, deadline=None)
settings.register_profile("thorough", max_examples=10_000, deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("fast")
