"""The course's speed comparisons: ratios measured side by side in one run, never a test of time."""
