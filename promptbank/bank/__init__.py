"""The use cases: learn, answer, evaluate, verify, exchange. They own transactions; CLI and service only call them."""
