"""What lessons and exercises call to be checked: `verdict` for the claims of a lesson."""

from sac_tutorial.check.claims import ClaimFailed, verdict

__all__ = ["ClaimFailed", "verdict"]
