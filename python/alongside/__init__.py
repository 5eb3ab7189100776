"""Parts for distributed systems that stand beside a program which stays as it is."""
