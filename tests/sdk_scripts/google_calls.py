"""The Google GenAI SDK for the Gemini API and for Vertex, with default settings.

On Vertex its credentials are a service account with a key made on the spot, so that it fetches a token first.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.genai import types
from google.oauth2 import service_account
from protocol import answered, run


def gemini(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The Gemini API."""
    return generate(genai.Client(api_key="AIza-drill", http_options=types.HttpOptions(base_url=url)), prompt, stream)


def vertex(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Gemini on Vertex; the token comes from the same base URL."""
    return generate(vertex_client(url), prompt, stream)


def vertex_client(url: str) -> genai.Client:
    """A client on Vertex that has no token yet."""
    info = {"client_email": "drill@p.iam.gserviceaccount.com", "token_uri": f"{url}/token", "private_key": _key()}
    credentials = service_account.Credentials.from_service_account_info(
        info, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    return genai.Client(
        vertexai=True,
        project="p",
        location="europe-west1",
        credentials=credentials,
        http_options=types.HttpOptions(base_url=url),
    )


@cache
def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def generate(client: genai.Client, prompt: str, stream: bool) -> dict[str, Any]:
    """One answer, whole or streamed."""
    if stream:
        chunks = list(client.models.generate_content_stream(model="gemini-2.5-pro", contents=prompt))
    else:
        chunks = [client.models.generate_content(model="gemini-2.5-pro", contents=prompt)]
    last = chunks[-1]
    return answered(
        "".join(chunk.text or "" for chunk in chunks),
        last.candidates[0].finish_reason.value,
        last.usage_metadata.prompt_token_count,
        last.usage_metadata.candidates_token_count,
    )


if __name__ == "__main__":
    run({"gemini": gemini, "vertex": vertex}, lambda error: getattr(error, "code", None))
