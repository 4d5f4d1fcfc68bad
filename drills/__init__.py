"""Failover drills for AI gateways: scenarios, plan, run, history, measurements, verdict."""

__version__ = "0.1.0"
