"""What holds for every test, the cells of notebooks included: kernels inherit the environment that is set here."""

import os

# A kernel chooses the backend that stores figures in the notebook, unless this variable says otherwise; then every figure
# would be missing from what nbval compares.
os.environ.pop("MPLBACKEND", None)
