#!/bin/bash
set -eu
: ${EXTERNAL_ADDRESS:?the address that callers reach}
: ${CODECS:=opus,pcmu} # in their order
REGION=${REGION:-$(hostname)}
if ! media --check; then exit 78; fi
exec media --external "$EXTERNAL_ADDRESS" --codecs "$CODECS" --max-calls "${MAX_CALLS:-${DEFAULT_CALLS:-100}}"
