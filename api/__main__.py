"""`python -m api`: serve on the address and port of the settings."""

import uvicorn

from api.settings import ApiSettings

if __name__ == "__main__":
    settings = ApiSettings()
    uvicorn.run(
        "api.app:app", host=settings.host, port=settings.port, server_header=False, proxy_headers=False
    )
