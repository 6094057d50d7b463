"""What the shop's own after-build task runs."""
