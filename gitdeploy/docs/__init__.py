"""The documentation, one Markdown page per topic; `gitdeploy help TOPIC` shows it. Holds no code and imports nothing."""
