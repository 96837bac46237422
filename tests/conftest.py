"""What holds for the unit tests: reproducible examples, figures that open no window, ears for Ctrl-C."""

import signal

import matplotlib as mpl
from hypothesis import settings

mpl.use("Agg")

# The same examples on every machine and in every run; a busy machine is no reason to fail.
settings.register_profile("course", derandomize=True, deadline=None, database=None)
settings.load_profile("course")

# What a shell without job control starts in the background is deaf to Ctrl-C, and so are its children; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
