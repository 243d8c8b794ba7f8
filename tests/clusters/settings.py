"""What the Spark applications of the tests are set to."""

from __future__ import annotations

SPARK_SETTINGS = {
    # One task at a time on each of the two workers.
    "spark.cores.max": "2",
    "spark.executor.memory": "768m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    # Not the time zones of the driver: a fault would show.
    "spark.executorEnv.TZ": "Pacific/Kiritimati",
    "spark.sql.session.timeZone": "Asia/Kathmandu",
}
