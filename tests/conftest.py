from hypothesis import settings

# Shared machines stall: a slow example is no failure.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
