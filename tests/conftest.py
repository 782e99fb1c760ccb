"""What every suite may use; the fixtures themselves are in the modules named here."""

pytest_plugins = ["tests.servers"]
