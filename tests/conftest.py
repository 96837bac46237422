"""What holds for the unit tests: reproducible examples, and figures that open no window."""

import matplotlib as mpl
from hypothesis import settings

mpl.use("Agg")

# The same examples on every machine and in every run; a busy machine is no reason to fail.
settings.register_profile("course", derandomize=True, deadline=None, database=None)
settings.load_profile("course")
