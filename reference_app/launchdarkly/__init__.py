"""A local flag service, which speaks the protocol of LaunchDarkly's SDK."""
