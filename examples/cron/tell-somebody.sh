#!/bin/sh
# Tells a person that a night failed. linnaeus runs it as
#
#   on-failure = ["./tell-somebody.sh", "nightly"]
#
# with the path of the run's record as the last argument: empty when the run wrote none, so that
# nobody takes last night's record for this one's. systemd runs it with the name of the unit.
# A budget that was used up (7) is no failure: the next night goes on.
set -eu
[ "${LINNAEUS_EXIT:-}" != 7 ] || exit 0
what=$1
record=${2:-}
to=${MAILTO:-root}

message() {
    echo "$what failed on ${LINNAEUS_HOST:-$(uname -n)}."
    if [ -n "${LINNAEUS_EXIT:-}" ]; then
        echo "Exit status $LINNAEUS_EXIT: $LINNAEUS_MEANING."
        echo "$LINNAEUS_IMAGES images had a row by then, $LINNAEUS_FAILED of them failed."
        [ -z "$LINNAEUS_ERROR" ] || echo "$LINNAEUS_ERROR"
    fi
    [ -z "$record" ] || echo "The record of the run: $record"
}

if command -v mail >/dev/null; then
    message | mail -s "linnaeus: $what failed" "$to"
elif command -v logger >/dev/null; then
    message | logger -t linnaeus -p user.err
else
    message
fi
