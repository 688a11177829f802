# SPDX-License-Identifier: Apache-2.0
"""The registry as container engines speak to it: the OCI distribution API over TLS, on the store of the ECR API."""
