"""Addresses that several parts of the API name."""

EVENTS = "/v1/events"
