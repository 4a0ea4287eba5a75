"""The issue loop: claim what is ready, let agents work, judge the work, land it."""
