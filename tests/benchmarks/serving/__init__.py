"""The service over loopback: throughput, latency under a mixed load, start and memory."""
