"""The three parts of the application, served together."""

from fastapi import FastAPI

from . import customers, reports, support

app = FastAPI(title="Shop")
for part in (customers, support, reports):
    app.include_router(part.router)
