"""What tests of faults are made of: a bank with workers on real brokers, faults to befall them, and the oracle."""
