"""What all tests share."""

from hypothesis import settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("dicomframe", deadline=None)
settings.load_profile("dicomframe")
