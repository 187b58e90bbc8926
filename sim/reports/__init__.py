"""Every output format: text, JSON, timelines and Chrome traces."""
