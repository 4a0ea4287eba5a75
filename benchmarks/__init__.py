"""The measured speed claims. `make bench` prints medians beside the targets, and ratios to a plain way of doing it."""
