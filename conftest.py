"""What holds for every test, the cells of notebooks included: kernels inherit the environment that is set here."""

import os

# A kernel chooses the backend that stores figures in the notebook, unless this variable says otherwise; then every figure
# would be missing from what nbval compares.
os.environ.pop("MPLBACKEND", None)

# The networks of the course are small: a second thread gains little, and where other programs are busy the threads wait for
# each other, so that training takes many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
