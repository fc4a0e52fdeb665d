"""What several proofs of this room start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import checkpoint


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    """A folder with a tiny pretrained encoder."""
    return checkpoint(tmp_path_factory.mktemp("encoder"))
