"""One HAProxy container for each app: it holds the published ports, so that containers behind it can overlap."""
