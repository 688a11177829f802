# SPDX-License-Identifier: Apache-2.0
"""Trains the digits model, a small text-to-image model in Stable Diffusion 1.5 layout, and reads what it draws."""
