"""The console: pages at `/console` of a service, for people who look at a bank, try tasks, review and train."""
