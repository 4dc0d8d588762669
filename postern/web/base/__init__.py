"""What every page shares: the shell, signing in, headers, toasts, the command palette."""
