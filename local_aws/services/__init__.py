# SPDX-License-Identifier: Apache-2.0
"""Corrections of single moto services; each module has one ``install()`` that is safe to repeat."""
