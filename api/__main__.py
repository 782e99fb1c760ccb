"""`python -m api`: serve on the address and port of the settings."""

from api.serving import serve
from api.settings import ApiSettings

if __name__ == "__main__":
    serve(ApiSettings())
