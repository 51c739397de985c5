"""Pure: what a payment is judged by and how, without Kafka, clocks or disks."""
