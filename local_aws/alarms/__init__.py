# SPDX-License-Identifier: Apache-2.0
"""CloudWatch alarms that evaluate and act, and the metrics that AWS services publish."""
