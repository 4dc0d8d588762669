"""What each `postern` command does, one file per verb. The command line itself is postern/project/cli.py."""
