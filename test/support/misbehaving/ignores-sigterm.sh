# Heeds no SIGTERM, and neither does what it starts. $1: seconds to live.
trap '' TERM
sleep "$1" &
echo ready
wait
