# SPDX-License-Identifier: Apache-2.0
"""What is published of the documents: JSON Schema, and the tables in the documentation. Made from the code itself."""

from __future__ import annotations
