#!/bin/sh
# Says what the night costs, into the log of the evening's job, where somebody who misses a session in the morning finds it.
set -eu

echo "WARNING: this Redis keeps everything in memory, and is switched off for the night."
echo "WARNING: lost are sessions and refresh tokens (everybody signs in again), the blacklist of tokens, locks with their fences, limits, events."
echo "WARNING: caches are empty in the morning and are warmed by the job called morning."
echo "To stay up, before 20:00: kubectl patch -n phonebill-dev cronjob/evening -p '{\"spec\":{\"suspend\":true}}'; to sleep again, the same with false."
