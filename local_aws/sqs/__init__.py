# SPDX-License-Identifier: Apache-2.0
"""SQS standard queues: fast, free of races, on the clock of the world. FIFO queues stay moto's."""
