"""Where sessions edit, and how their commits reach the branch."""
