"""Worker processes of a catalogue: how they start and end."""

import subprocess
import sys


def test_ctrl_c_while_a_worker_starts_is_for_the_first_process_alone() -> None:
    script = (
        "import os, signal, time\n"
        "from dicomframe.catalog.workers import Workers\n"
        "def interrupt(real):\n"
        "    def submit(*arguments):\n"
        "        real(*arguments)\n"
        "        time.sleep(0.1)  # it has started, and is importing\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "    return submit\n"
        "try:\n"
        "    with Workers(2) as workers:\n"
        "        workers._submit = interrupt(workers._submit)\n"
        "        list(workers.map(abs, range(9), is_little=False))\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "stopped\n", "")
