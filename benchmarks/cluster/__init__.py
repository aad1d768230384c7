"""What a run costs its driver, and how busy many machines are kept."""
